"""The arguments and options of `nearcast jobs add`: what a declared job computes, when it runs, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

NewName: TypeAlias = Annotated[str, typer.Argument(metavar="NAME", help="What to call it: a-z, 0-9, _ and -.")]
Model: TypeAlias = Annotated[str, typer.Argument(metavar="MODEL", help="A model of the project.")]

All: TypeAlias = Annotated[
    bool, typer.Option("--all", help="Compute every key the model's all_keys view has a row for.")
]
Keys: TypeAlias = Annotated[
    Path | None, typer.Option(help="The keys of a text file; read now, and kept with the job.", metavar="FILE")
]
Hot: TypeAlias = Annotated[int | None, typer.Option(min=1, help="The N keys asked for most at that time.", metavar="N")]
Dependents: TypeAlias = Annotated[
    str | None, typer.Option(help="The hot keys that depend on a row.", metavar="VIEW:ENTITY")
]
Variants: TypeAlias = Annotated[list[str] | None, typer.Option(help="Else the model's default; may be repeated.")]

Cron: TypeAlias = Annotated[str | None, typer.Option(help="Five fields: minute hour day month weekday.")]
Every: TypeAlias = Annotated[
    float | None, typer.Option(help="An interval; counted from 1970, so 3600 is on the hour.", metavar="SECONDS")
]
On: TypeAlias = Annotated[
    Literal["publish", "view-update"] | None, typer.Option(help="Run on an event instead of by the clock.")
]
View: TypeAlias = Annotated[str | None, typer.Option(help="With --on view-update: which view.")]
MinInterval: TypeAlias = Annotated[
    float | None, typer.Option(help="With --on view-update: not more often; else 60.", metavar="SECONDS")
]
Window: TypeAlias = Annotated[str | None, typer.Option(help="Begin only at these hours.", metavar="HH:MM-HH:MM")]
Timezone: TypeAlias = Annotated[str | None, typer.Option(help="Of cron and window; else UTC.", metavar="ZONE")]
Jitter: TypeAlias = Annotated[float | None, typer.Option(help="Begin up to so much later.", metavar="SECONDS")]

TaskPriority: TypeAlias = Annotated[
    Literal["high", "normal", "low"] | None, typer.Option(help="Which tasks workers take first; else normal.")
]
TimeLimit: TypeAlias = Annotated[
    float | None, typer.Option(help="End a run that takes longer; else never.", metavar="SECONDS")
]
OnOverlap: TypeAlias = Annotated[
    Literal["skip", "queue", "replace"] | None,
    typer.Option(help="What happens to a run that is due while one is at work; else skip."),
]
OnMissed: TypeAlias = Annotated[
    Literal["skip", "run-once"] | None,
    typer.Option(help="What happens to runs that were due while no scheduler led; else run-once."),
]
Replace: TypeAlias = Annotated[bool, typer.Option("--replace", help="Take the place of a job added before.")]
