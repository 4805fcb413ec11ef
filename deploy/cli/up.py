"""`nearcast up`: everything on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.invocation import Invocation, checked_store, invocation
from deploy.cli.serve import Host, Port, Processes

if TYPE_CHECKING:
    from deploy.local.stack import Stack


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: nearcast up --port 8300 --publish")(up)


def up(
    ctx: typer.Context,
    host: Host = None,
    port: Port = None,
    processes: Processes = None,
    data: Annotated[
        Path | None, typer.Option(help="Data of the embedded Redis; else .nearcast/redis beside the project file.")
    ] = None,
    publish: Annotated[
        bool,
        typer.Option("--publish", help="Publish models/MODEL.onnx and models/MODEL.VARIANT.onnx beside the project."),
    ] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65533,
            help="Port of the worker's /metrics; scheduler and refresher take the next two. The edge shows its own.",
        ),
    ] = None,
) -> None:
    """Run Redis, worker, scheduler, refresher and edge here until Ctrl-C.

    Commands in other terminals find them by the project file. A primary that is configured takes the place of the
    embedded Redis.
    """
    from deploy.cli.model_files import model_files
    from deploy.local.running_stack import STATE_DIRECTORY
    from deploy.local.stack import local_stack

    call = invocation(ctx)
    call.also(host=host, port=port, processes=processes, metrics_port=metrics_port)
    settings = call.own_settings
    beside = settings.project.resolve().parent
    # Mistakes in the project are told before anything has been started.
    if publish:
        model_files(call.project, beside / "models")
    else:
        _ = call.project
    with local_stack(settings, data or beside / STATE_DIRECTORY / "redis") as stack:
        raise typer.Exit(_run(call, stack, beside / "models" if publish else None))


def _run(call: Invocation, stack: Stack, models: Path | None) -> int:
    from deploy.cli.model_files import publish_files
    from deploy.local.supervisor import Supervisor

    def publish() -> None:
        if models:
            with checked_store(stack.where.primary_url) as store:
                publish_files(store, call.project, models)

    children = stack.children
    if children[0].name == "primary":
        children = [children[0].then(publish), *children[1:]]
    else:
        with checked_store(stack.where.primary_url):
            publish()
    greeting = f"ready: {stack.url}  (Ctrl-C stops everything)"
    return Supervisor(children, stream=sys.stdout, greeting=greeting, log_format=call.own_settings.log_format).run()
