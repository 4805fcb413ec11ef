"""Whether any row behind an entry has changed, as fast as Python can say it: each hit after a change asks."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

#: Takes the slots of all tables and an entry's `marks`; whether no slot has a change beyond the entry's as-of.
Unchanged = Callable[[Sequence[int], bytes], bool]


def unchanged(layout: str, entities: int) -> Unchanged:
    """The question for entries with so many dependencies.

    Written out for up to three of them, which is most models: a loop over three takes as long again as all the rest.

    Args:
        layout: for `struct`, what reads of the marks a slot for each entity, and then an update id for each.
    """
    unpack: Callable[[bytes], tuple[int, ...]] = struct.Struct(layout).unpack

    def one(slots: Sequence[int], marks: bytes) -> bool:
        slot, known = unpack(marks)
        return slots[slot] <= known

    def two(slots: Sequence[int], marks: bytes) -> bool:
        slot_1, slot_2, known_1, known_2 = unpack(marks)
        return slots[slot_1] <= known_1 and slots[slot_2] <= known_2

    def three(slots: Sequence[int], marks: bytes) -> bool:
        slot_1, slot_2, slot_3, known_1, known_2, known_3 = unpack(marks)
        return slots[slot_1] <= known_1 and slots[slot_2] <= known_2 and slots[slot_3] <= known_3

    def many(slots: Sequence[int], marks: bytes) -> bool:
        numbers = unpack(marks)
        return all(slots[slot] <= known for slot, known in zip(numbers, numbers[entities:], strict=False))

    return {1: one, 2: two, 3: three}.get(entities, many)
