"""`nearcast invalidate`: predictions that somebody wants computed anew, whatever the features say."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.invocation import Invocation, invocation
from deploy.cli.show import Json, show, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from precompute.orders import HotKey, Order, Target
    from precompute.store import Store

#: Orders that a list shows.
_LISTED = 50


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: nearcast invalidate --view weather --entity JFK --why 'sensor was wrong' --refresh")(
        invalidate
    )


def invalidate(
    ctx: typer.Context,
    model: Annotated[
        str | None, typer.Option(help="Predictions of this model: all of them, unless --key names one.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="One prediction; its context as in late's UA1:EWR?hour=3.")] = None,
    view: Annotated[str | None, typer.Option(help="Predictions of all models that an entity's row goes into.")] = None,
    entity: Annotated[str | None, typer.Option(help="Which entity of the view.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Say that all of the model is meant.")] = False,
    why: Annotated[str, typer.Option(help="The reason; it is kept with your name and the time.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which hot predictions it would be.")] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Have the hot ones recomputed at once.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="Show what was invalidated lately, by whom and why.")] = False,
    as_json: Json = False,
) -> None:
    """Make predictions stale everywhere, at once; nothing of them is served as fresh any more.

    Costs one log record, however many they are. No row is changed or removed.
    """
    from precompute import orders

    call = invocation(ctx)
    if listing:
        with call.primary() as store:
            _show_recent(orders.recent(store, _LISTED), as_json=as_json)
        return
    what = orders.target(call.project, model=model, key=key, view=view, entity=entity, everything=everything)
    with call.primary() as store:
        replies = store.run(orders.hot_commands(call.project, what, call.settings.hot_keys))
        hot = orders.hot_behind(call.project, what, replies)
        order = None if dry_run else _give(store, what, why, hot, refresh=refresh)
    if order is not None and refresh:
        _refresh(call, hot)
    show(orders.report(what, hot, order), lambda: _for_people(what, hot, order), as_json=as_json)


def _give(store: Store, what: Target, why: str, hot: Sequence[HotKey], *, refresh: bool) -> Order:
    from precompute import orders

    return orders.give(
        store,
        what,
        who=_caller(),
        why=why,
        now_ms=time.time_ns() // 1_000_000,
        hot_keys=len(hot),
        refreshed=len(hot) if refresh else 0,
    )


def _caller() -> str:
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # A container's user may have no name.
        import os

        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _refresh(call: Invocation, hot: Sequence[HotKey]) -> None:
    """Straight to the workers, who then read the order's record with the rows."""
    from precompute.orders import REFRESH_KEYS
    from workers.task_queue import open_queue

    queue = open_queue(call.settings)
    try:
        for model in dict.fromkeys(key.model for key in hot):
            keys = [key.key for key in hot if key.model == model]
            for at in range(0, len(keys), REFRESH_KEYS):
                queue.refresh(model, keys[at : at + REFRESH_KEYS])
    finally:
        queue.close()


def _for_people(what: Target, hot: Sequence[HotKey], order: Order | None) -> RenderableType:
    from rich.console import Group

    from precompute.orders import NAMED

    verb = "would become stale" if order is None else "is stale now"
    lines: list[RenderableType] = [f"{what} {verb}; {len(hot):,} hot prediction(s) among it"]
    if order is not None and order.refreshed:
        lines.append(f"{order.refreshed:,} of them will be recomputed by the workers")
    if hot:
        rows = [(key.model, key.key, key.requests_per_s) for key in hot[:NAMED]]
        lines.append(table(("model", "key", "requests/s"), rows))
    return Group(*lines)


def _show_recent(found: Sequence[Order], *, as_json: bool) -> None:
    from precompute.updates import timestamp

    def rows() -> RenderableType:
        columns = ("at", "what", "who", "why", "hot", "refreshed")
        return table(
            columns, [(timestamp(o.at_ms), _what(o), o.who, o.why or None, o.hot_keys, o.refreshed) for o in found]
        )

    show({"orders": [asdict(order) for order in found]}, rows, as_json=as_json)


def _what(order: Order) -> str:
    if order.view is not None:
        return f"{order.view} {order.entity}"
    return f"{order.model} {order.key}" if order.key is not None else f"all of {order.model}"
