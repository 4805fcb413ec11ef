"""Declared jobs that somebody wants to have run at once, as an edge was told; edges know the primary, but no broker."""

from __future__ import annotations

import msgspec

from precompute.keys import ORDERED_RUNS
from precompute.store import Store
from precompute.updates import Command

#: Orders that may wait; older ones give way.
_WAITING = 64
#: Nobody wants that a job runs because of a click that was long ago.
WITHIN_MS = 300_000


class OrderedRun(msgspec.Struct, frozen=True):
    """A declared job, who wants it, and since when."""

    job: str
    who: str
    at_ms: int


def give_commands(order: OrderedRun) -> list[Command]:
    """Asks whoever leads the schedulers to run a job now."""
    return [("RPUSH", ORDERED_RUNS, msgspec.json.encode(order)), ("LTRIM", ORDERED_RUNS, -_WAITING, -1)]


def take(store: Store) -> OrderedRun | None:
    """The oldest order, which is then nobody's any more; lost if its taker dies. Raises StoreUnavailable."""
    text = store.call("LPOP", ORDERED_RUNS)
    return None if text is None else msgspec.json.decode(text, type=OrderedRun)
