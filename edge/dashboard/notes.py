"""What others have noted: hot keys, the latest audit, and what was invalidated by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from edge.dashboard.document import Audit, HotKey, Invalidation
from precompute.audit_note import AuditNote
from precompute.hot_trend import Recent
from precompute.keys import AUDIT, ORDERS_PAST, hot_key, hot_recent_key, hot_state_key
from precompute.manifest import Project
from precompute.orders import Order
from precompute.store import checked
from precompute.updates import Command, Reply

#: Hot keys of each model, and of all of them.
_HOT = 20
_INVALIDATIONS = 20

AUDIT_COMMAND: Command = ("GET", AUDIT)
INVALIDATIONS: Command = ("LRANGE", ORDERS_PAST, 0, _INVALIDATIONS - 1)


def hot_commands(project: Project) -> list[Command]:
    """What to ask for hot keys; three commands for each model."""
    return [
        command
        for model in project.models
        for command in (
            ("ZREVRANGE", hot_key(model), 0, _HOT - 1, "WITHSCORES"),
            ("HGET", hot_state_key(model), "total_per_s"),
            ("GET", hot_recent_key(model)),
        )
    ]


def hot(project: Project, replies: Sequence[Reply]) -> list[HotKey]:
    """The hottest keys of all models."""
    found = [
        key for i, model in enumerate(project.models) for key in _hot(model, *map(checked, replies[3 * i : 3 * i + 3]))
    ]
    return sorted(found, key=lambda key: -key.rate_per_s)[:_HOT]


def _hot(model: str, flat: Reply, total: Reply, raw: Reply) -> Iterator[HotKey]:
    total_per_s, recent = float(total or 0), Recent.parse(raw)
    for name, score in zip(flat[::2], flat[1::2], strict=True):
        key, rate = name.decode(), float(score)
        trend = None if recent is None else recent.trend(key, rate, total_per_s)
        yield HotKey(model=model, key=key, rate_per_s=rate, trend=trend)


def audit(reply: Reply) -> Audit | None:
    """The latest audit."""
    raw = checked(reply)
    if raw is None:
        return None
    note = msgspec.json.decode(raw, type=AuditNote)
    return Audit(at_ms=note.at_ms, checked=note.checked, falsely_fresh=note.falsely_fresh)


def invalidations(reply: Reply) -> list[Invalidation]:
    """The latest orders, newest first."""
    orders = (msgspec.json.decode(text, type=Order) for text in checked(reply))
    return [Invalidation(at_ms=it.at_ms, what=_what(it), who=it.who, why=it.why) for it in orders]


def _what(order: Order) -> str:
    if order.model is None:
        return f"{order.view} {order.entity}"
    return f"all of {order.model}" if order.key is None else f"{order.model} {order.key}"
