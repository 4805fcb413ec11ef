"""`nearcast hot`: what is asked for most."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.cli.invocation import invocation
from deploy.cli.show import Json, show, table


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: nearcast hot late --count 20")(hot)


def hot(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model of the project.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many keys to show.")] = 20,
    as_json: Json = False,
) -> None:
    """Show the keys that are asked for most, with their requests per second over all edges."""
    from precompute import hotkeys
    from precompute.updates import timestamp

    call = invocation(ctx)
    declared = call.project.model(model)
    with call.primary() as store:
        keys = hotkeys.top(store, declared.name, count)
        state = hotkeys.read_state(store, declared.name)
    document = {
        "model": model,
        "requests_per_s": state.total_per_s,
        "error_per_s": state.error_per_s,
        "merged_at": timestamp(state.merged_ms) if state.merged_ms else None,
        "keys": [{"key": key, "requests_per_s": rate} for key, rate in keys],
    }
    total = state.total_per_s
    rows = [(key, rate, f"{rate / total:.1%}" if total else None) for key, rate in keys]
    show(document, lambda: table(("key", "requests/s", "share"), rows), as_json=as_json)
