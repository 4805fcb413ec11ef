"""`nearcast demo`: a real day at New York's airports in about a minute."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.serve import Port

if TYPE_CHECKING:
    from deploy.demo.run import Shown


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: nearcast demo --for 60 --json")(demo)


def demo(
    port: Port = None,
    for_s: Annotated[
        float | None, typer.Option("--for", min=1, help="End after so many seconds; else when the day is over.")
    ] = None,
    day: Annotated[str, typer.Option(help="Which day, in October 2013.", metavar="YYYY-MM-DD")] = "2013-10-17",
    speed: Annotated[float, typer.Option(min=0.01, max=600, help="Simulated minutes in a second.")] = 19.0,
    rate: Annotated[float, typer.Option(min=1, max=5000, help="Requests a second.")] = 400.0,
    as_json: Annotated[bool, typer.Option("--json", help="No screen; the figures as JSON on the last line.")] = False,
) -> None:
    """Will this flight arrive late? Replays a real day: weather and delays stream in, passengers ask.

    Everything is real: a Redis primary and replica, a Celery worker, scheduler, refresher and edge, each a process.
    """
    from datetime import date

    from deploy.demo.run import DemoOptions, run_demo
    from precompute.errors import ConfigError

    try:
        chosen = date.fromisoformat(day)
    except ValueError:
        raise ConfigError(f"--day {day!r} is not a date like 2013-10-17") from None
    options = DemoOptions(day=chosen, for_s=for_s, speed=speed, rate=rate, port=8300 if port is None else port)
    if as_json or not sys.stdout.isatty():
        _finish(run_demo(options, _say, None))
        return
    _on_screen(lambda show: run_demo(options, _say, show))


def _say(text: str) -> None:
    print(f"demo: {text}", file=sys.stderr, flush=True)


def _finish(figures: Mapping[str, object]) -> None:
    import json

    print(json.dumps(figures))


def _on_screen(run: Callable[[Callable[[Shown], None]], Mapping[str, object]]) -> None:
    from rich.console import Console
    from rich.live import Live

    from deploy.demo.screen import screen

    console = Console()
    with Live(console=console, auto_refresh=False, transient=False) as live:
        figures = run(lambda shown: live.update(screen(shown), refresh=True))
    console.print_json(data=figures)
