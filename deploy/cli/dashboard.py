"""`nearcast dashboard`: the page alone."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.cli.invocation import invocation
from deploy.cli.serve import Host, settings_of

#: Beside that of an edge.
_PORT = 8310


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: nearcast dashboard --port 8310")(dashboard)


def dashboard(
    ctx: typer.Context,
    host: Host = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on, 0 for any free one.")] = _PORT,
) -> None:
    """Serve the dashboard alone, from Redis: the same page and numbers that every edge has."""
    call = invocation(ctx)
    call.also(host=host, port=port)
    settings = settings_of(call)
    from edge.dashboard.server import run

    run(settings, call.project)
