"""The one rule: a prediction is fresh as long as no feature it was computed from has changed since its as-of.

No I/O and no clock here. A follower notes changes as it reads the log; whoever holds an entry asks.

What is remembered is bounded: for each view a table of slots by hash of the entity, each holding the latest change
of all entities that fall into it. A collision makes an entry look older than it is, never fresher. The *floor* is
the oldest as-of about which the table knows everything; below it, and in another epoch, the answer is `UNKNOWN`,
which callers treat as stale.
"""

from __future__ import annotations

import enum
from array import array
from collections.abc import Sequence

import xxhash

#: 2^20 slots are 8 MiB a view; with 100,000 entities changing, 1 in 10 unchanged ones shares a slot with a changed one.
DEFAULT_SLOTS = 1 << 20


class Verdict(enum.Enum):
    """What the rule says of an entry."""

    FRESH = "fresh"
    CHANGED = "changed"
    UNKNOWN = "unknown"


class ChangeTable:
    """The latest change of each entity of one view, within what the follower has read."""

    __slots__ = ("_gone", "_mask", "_slots", "floor", "position")

    def __init__(self, slots: int = DEFAULT_SLOTS) -> None:
        if slots < 1 or slots & (slots - 1):
            raise ValueError("the number of slots must be a power of two")
        self._mask = slots - 1
        self._slots = array("Q", bytes(8 * slots))
        #: The latest deletion of each slot; not there before the first one.
        self._gone: array[int] | None = None
        #: Nothing is known about entries with an as-of below.
        self.floor = 0
        #: The last id read.
        self.position = 0

    def slot(self, entity: str) -> int:
        """Where changes of an entity are remembered; constant for the life of the table."""
        return xxhash.xxh3_64_intdigest(entity.encode()) & self._mask

    def note(self, entity: bytes, change: int, *, gone: bool = False) -> None:
        """An entity changed at this update id; `gone` if its row was deleted."""
        slot = xxhash.xxh3_64_intdigest(entity) & self._mask
        self._slots[slot] = max(self._slots[slot], change)
        self.position = max(self.position, change)
        if gone:
            if self._gone is None:
                self._gone = array("Q", bytes(8 * len(self._slots)))
            self._gone[slot] = max(self._gone[slot], change)

    def last_change(self, slot: int) -> int:
        """The latest known change of any entity in the slot, 0 if none."""
        return self._slots[slot]

    def last_deletion(self, slot: int) -> int:
        """The latest known deletion of any entity in the slot, 0 if none."""
        return self._gone[slot] if self._gone is not None else 0

    def restart(self, floor: int, position: int) -> None:
        """Forgets everything: records may have been missed, or history has changed."""
        self._slots = array("Q", bytes(8 * len(self._slots)))
        self._gone = None
        self.floor, self.position = floor, position


class Freshness:
    """The rule over all views of a project."""

    def __init__(self, views: Sequence[str], slots: int = DEFAULT_SLOTS) -> None:
        self.tables = {view: ChangeTable(slots) for view in views}
        #: The history that the tables speak of; None until a follower has begun.
        self.epoch: int | None = None

    def watch(self, views: Sequence[str], entities: Sequence[str]) -> Watch:
        """What to look at for a prediction with these dependencies; worth keeping beside the entry."""
        return tuple((self.tables[v], self.tables[v].slot(e)) for v, e in zip(views, entities, strict=True))

    def verdict(self, watch: Watch, epoch: int, as_of: Sequence[int]) -> Verdict:
        """Judges an entry by its dependencies' last changes."""
        if epoch != self.epoch or len(watch) != len(as_of):
            return Verdict.UNKNOWN
        for (table, slot), known in zip(watch, as_of, strict=True):
            if table.last_change(slot) > known:
                return Verdict.CHANGED
            if known < table.floor:
                return Verdict.UNKNOWN
        return Verdict.FRESH

    def changed_at(self, watch: Watch, as_of: Sequence[int]) -> int:
        """The earliest update id by which the entry was certainly out of date; 0 if it is not."""
        changes = [c for (t, s), known in zip(watch, as_of, strict=False) if (c := t.last_change(s)) > known]
        return min(changes, default=0)

    def is_deleted(self, watch: Watch, as_of: Sequence[int]) -> bool:
        """Whether a row behind the entry may have been deleted since its as-of; it is then not even good as stale."""
        return any(table.last_deletion(slot) > known for (table, slot), known in zip(watch, as_of, strict=False))

    def begin(self, epoch: int) -> None:
        """Starts over in another history; every table must be restarted by the caller."""
        self.epoch = epoch


#: The table and slot of each dependency, in the model's order.
Watch = tuple[tuple[ChangeTable, int], ...]
