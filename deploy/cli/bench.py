"""`nearcast bench`: how fast an edge is that runs somewhere, measured from here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.invocation import Invocation, invocation
from deploy.cli.show import Json, show, table
from precompute.errors import ConfigError

if TYPE_CHECKING:
    from deploy.bench.node import Phase

_COLUMNS = ("loop", "asked/s", "answered/s", "p50 ms", "p99 ms", "p99.9 ms", "from", "failed")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: nearcast bench http://127.0.0.1:8300 --model late --rate 5000")(bench)


def bench(
    ctx: typer.Context,
    url: Annotated[
        str | None, typer.Argument(metavar="[URL]", help="The edge, as http://host:port; else the one that runs here.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Else the project's first.")] = None,
    keys: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keys to ask for, one a line; else the model's hottest.")
    ] = None,
    connections: Annotated[int, typer.Option("--connections", "-c", min=1, max=4096, help="Kept open.")] = 32,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="Of each of the two runs.")] = 5.0,
    rate: Annotated[
        float | None, typer.Option(min=1, help="Requests per second of the open loop; else 60 % of the capacity.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure an edge: its capacity, and its latency at a constant rate.

    The latency of a request counts from when it was due, so that nobody who had to wait is left out. Loads the edge
    with everything this machine can send: not for one that serves people.
    """
    from deploy.bench.node import measure, paths

    call = invocation(ctx)
    name = model or _first_model(call)
    asked = paths(name, _listed(keys) if keys else _hottest(call, name))
    phases = measure(url or call.edge_url, asked, connections=connections, seconds=seconds, rate_per_s=rate)
    document = {
        "model": name,
        "keys": len(asked),
        "connections": connections,
        "phases": [phase.document() for phase in phases],
    }
    show(document, lambda: table(_COLUMNS, map(_row, phases)), as_json=as_json)
    if any(phase.failed for phase in phases):
        raise typer.Exit(1)


def _row(phase: Phase) -> tuple[object, ...]:
    tiers = ", ".join(f"{tier} {share:.0%}" for tier, share in phase.tiers.items())
    times = (round(ms, 2) for ms in (phase.p50_ms, phase.p99_ms, phase.p999_ms))
    asked = None if phase.asked_per_s is None else round(phase.asked_per_s)
    return (phase.loop, asked, round(phase.answered_per_s), *times, tiers, phase.failed)


def _first_model(call: Invocation) -> str:
    found = next(iter(call.project.models), None)
    if found is None:
        raise ConfigError("the project has no model; say which with --model")
    return found


def _listed(path: Path) -> list[str]:
    try:
        keys = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read keys from {path}: {error}") from None
    if not keys:
        raise ConfigError(f"{path} lists no keys")
    return keys


def _hottest(call: Invocation, model: str) -> list[str]:
    from precompute import hotkeys

    with call.primary() as store:
        keys = [key for key, _ in hotkeys.snapshot(store, call.project.model(model).name, call.settings.hot_keys)[0]]
    if not keys:
        raise ConfigError(f"nobody has asked for keys of {model!r} yet; list some with --keys FILE")
    return keys
