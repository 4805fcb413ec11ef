"""All commands under one roof. Heavy libraries are imported inside the commands that need them, so that `--help`
answers at once."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from deploy.cli import (
    audit,
    bench,
    check,
    dashboard,
    dead,
    experiment,
    features,
    get,
    hot,
    invalidate,
    jobs,
    model,
    serve,
    stats,
    up,
    why,
)
from deploy.cli.invocation import Invocation

#: Options that mean the same for every command, and are therefore understood before and behind its name.
GLOBAL_OPTIONS = ("--project", "--primary", "--replica")


class _Root(TyperGroup):
    """The `nearcast` command itself."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Takes global options from wherever they stand."""
        return super().parse_args(ctx, hoist(args))


def hoist(args: list[str]) -> list[str]:
    """The arguments with global options first; what follows `--` is left alone."""
    first: list[str] = []
    rest: list[str] = []
    left = list(args)
    while left and left[0] != "--":
        argument = left.pop(0)
        if argument in GLOBAL_OPTIONS and left:
            first += [argument, left.pop(0)]
        elif argument.startswith(tuple(f"{option}=" for option in GLOBAL_OPTIONS)):
            first.append(argument)
        else:
            rest.append(argument)
    return first + rest + left


app = typer.Typer(
    cls=_Root,
    name="nearcast",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog="Example: nearcast up --project nearcast.toml",
)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"nearcast {version('nearcast')}")
        raise typer.Exit


@app.callback()
def nearcast(
    ctx: typer.Context,
    project: Annotated[
        Path | None,
        typer.Option(help="Project file. Environment: NEARCAST_PROJECT; else nearcast.toml.", metavar="FILE"),
    ] = None,
    primary: Annotated[
        str | None,
        typer.Option(help="Redis primary. Environment: NEARCAST_PRIMARY_URL; else the stack that runs here."),
    ] = None,
    replica: Annotated[
        str | None, typer.Option(help="Redis replica that edges read. Environment: NEARCAST_REPLICA_URL.")
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Predictions computed before they are asked for, served close by, and never stale as fresh."""
    ctx.obj = Invocation(project, primary, replica)


check.register(app)
app.add_typer(features.group, name="features")
app.add_typer(model.group, name="model")
app.add_typer(jobs.group, name="jobs")
app.add_typer(dead.group, name="dead")
app.add_typer(experiment.group, name="experiment")
hot.register(app)
invalidate.register(app)
audit.register(app)
stats.register(app)
dashboard.register(app)
bench.register(app)
get.register(app)
why.register(app)
up.register(app)
serve.register(app)
if find_spec("deploy.cli.demo"):
    # The demo is not part of every installation.
    import_module("deploy.cli.demo").register(app)
