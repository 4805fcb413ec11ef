"""What others have noted: hot keys, the latest audit, and what was invalidated by hand."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge.dashboard.document import Audit, HotKey, Invalidation
from precompute.audit_note import AuditNote
from precompute.keys import AUDIT, ORDERS_PAST, hot_key
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
    """What to ask for hot keys; one command for each model."""
    return [("ZREVRANGE", hot_key(model), 0, _HOT - 1, "WITHSCORES") for model in project.models]


def hot(project: Project, replies: Sequence[Reply]) -> list[HotKey]:
    """The hottest keys of all models."""
    found = []
    for model, reply in zip(project.models, replies, strict=True):
        flat = checked(reply)
        for key, rate in zip(flat[::2], flat[1::2], strict=True):
            found.append(HotKey(model=model, key=key.decode(), rate_per_s=float(rate), trend=None))
    return sorted(found, key=lambda key: -key.rate_per_s)[:_HOT]


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
