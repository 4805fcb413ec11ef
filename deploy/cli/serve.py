"""`nearcast edge|worker|scheduler|refresher`: one part of the system in this process, against configured servers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.invocation import Invocation, checked_store, invocation

if TYPE_CHECKING:
    from precompute.settings import Settings

Host = Annotated[str | None, typer.Option(help="Address to listen on. Environment: NEARCAST_HOST.")]
Port = Annotated[
    int | None, typer.Option(help="Port the edge listens on, 0 for any free one. Environment: NEARCAST_PORT.")
]
Processes = Annotated[
    int | None, typer.Option(help="Processes of the edge, on one port. Environment: NEARCAST_PROCESSES.")
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        help="Port to show /metrics at, 0 for any free one; none if not given. Environment: NEARCAST_METRICS_PORT.",
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(epilog="Example: nearcast edge --replica redis://10.1.0.2/0 --port 8300")(edge)
    app.command(hidden=True, epilog="Example: nearcast edge-process --number 0, and more")(edge_process)
    app.command(epilog="Example: nearcast worker --primary redis://10.0.0.1/0 --concurrency 4")(worker)
    app.command(epilog="Example: nearcast scheduler --primary redis://10.0.0.1/0")(scheduler)
    app.command(epilog="Example: nearcast refresher --primary redis://10.0.0.1/0")(refresher)


def edge(ctx: typer.Context, host: Host = None, port: Port = None, processes: Processes = None) -> None:
    """Answer requests over HTTP from memory, the replica, or the model itself."""
    call = invocation(ctx)
    call.also(host=host, port=port, processes=processes)
    settings = settings_of(call)
    # Only the replica: an edge starts and answers while the primary is away.
    with checked_store(settings.read_url):
        pass
    if settings.processes > 1:
        from deploy.local.edge_node import run_edge_node

        _ = call.project  # Mistakes in it are told once, before anything is started.
        raise typer.Exit(run_edge_node(settings))
    from edge.server import run

    run(settings)


def edge_process(
    ctx: typer.Context,
    number: Annotated[int, typer.Option(help="Which one it is, from 0.")],
    directory: Annotated[Path, typer.Option(help="Where the processes find each other.")],
    listener: Annotated[list[int], typer.Option(help="File descriptors of the node's sockets.")],
    parent: Annotated[int, typer.Option(help="Process id of whoever started it.")],
) -> None:
    """Run one process of `nearcast edge --processes`, which starts them."""
    from edge.server import run_in_slot
    from edge.siblings import Slot

    slot = Slot(number=number, directory=directory, listeners=tuple(listener), parent=parent)
    run_in_slot(settings_of(invocation(ctx)), slot)


def worker(
    ctx: typer.Context,
    concurrency: Annotated[int, typer.Option(min=1, help="Processes that compute; 1 computes in this one.")] = 1,
    metrics_port: MetricsPort = None,
) -> None:
    """Compute the predictions that jobs, the scheduler and the refresher ask for."""
    settings = _settings_with(invocation(ctx), metrics_port)
    from workers.app import run_worker

    run_worker(settings, concurrency)


def scheduler(ctx: typer.Context, metrics_port: MetricsPort = None) -> None:
    """Have hot predictions computed before they expire; any number may run, one of them leads."""
    settings = _settings_with(invocation(ctx), metrics_port)
    from workers.scheduler import run_scheduler

    run_scheduler(settings)


def refresher(ctx: typer.Context, metrics_port: MetricsPort = None) -> None:
    """Have hot predictions computed again when a feature behind them changes."""
    settings = _settings_with(invocation(ctx), metrics_port)
    from workers.refresher import run_refresher

    run_refresher(settings)


def _settings_with(call: Invocation, metrics_port: int | None) -> Settings:
    call.also(metrics_port=metrics_port)
    return settings_of(call)


def settings_of(call: Invocation) -> Settings:
    """Where everything is, for a process that logs."""
    from precompute.logs import set_up_logging

    settings = call.settings
    set_up_logging(settings.log_format, sys.stderr)
    return settings
