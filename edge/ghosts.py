"""Names of keys that were thrown out a while ago: a mark of eight bytes each, in a table of fixed size.

A slot holds 32 bits of the name's hash and the number of its throwing-out, the newest of all names that fall into it.
Where two names share a slot the older one is forgotten early; that another name is taken for one that was thrown out
happens once in four billion. Names kept as such would take as much room as half the entries do.
"""

from __future__ import annotations

import mmap

_LOW = 0xFFFFFFFF


class Ghosts:
    """The latest names, about `most` of them."""

    def __init__(self, most: int) -> None:
        slots = 1 << max(1, most - 1).bit_length()
        self._mask = slots - 1
        # Mapped, so that a slot takes memory from when it is first used; and four kilobytes then, because clearing
        # a huge page holds up everybody for some milliseconds.
        table = mmap.mmap(-1, 8 * slots, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_NOHUGEPAGE"):
            table.madvise(mmap.MADV_NOHUGEPAGE)
        self._marks = memoryview(table).cast("Q")
        self._count = 0

    def add(self, name: str) -> None:
        """Remembers a name."""
        self._count = self._count + 1 & _LOW
        number = hash(name)
        self._marks[number & self._mask] = (number >> 32 & _LOW) << 32 | self._count

    def take(self, name: str) -> int | None:
        """How many were thrown out after a name, if it is remembered; it is forgotten with that."""
        number = hash(name)
        slot = number & self._mask
        mark = self._marks[slot]
        if not mark or mark >> 32 != number >> 32 & _LOW:
            return None
        self._marks[slot] = 0
        return self._count - mark & _LOW
