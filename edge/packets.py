"""What the parser and the door made of packets, remembered: a client sends the same bytes again when it asks for the
same key.

A parser between two messages makes the same of the same bytes, whenever and on whichever connection they come. Only a
packet that was exactly one plain GET, and has been seen before, is kept: what differs each time, because it carries
the number of a request or a trace, leaves a hash behind and nothing else.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from httptools import HttpRequestParser

from edge.latest import Latest

#: Everything is in so many parts, because large tables hold up everybody: a set for half a millisecond when it grows
#: and when it is thrown away, a dictionary whenever as much has come into it and gone out as it has room for; and each
#: is 1.3 MB of memory that may or may not be given back.
PARTS = 1 << 6
#: Packets that are kept in each part at most: 20 MB together, if all are as long as they may be.
_KEPT = 1 << 8
#: Hashes of what was seen once, at most, in each of two halves of each part.
_SEEN = 1 << 8
_LONGEST_BYTES = 1024

M = TypeVar("M")


class Packets(Generic[M]):
    """What packets mean, for all connections of one process.

    Attributes:
        recalls: `recalls[hash(packet) % PARTS](packet)` is what the target of the GET that a packet is means; None if
            it is not known to be one.
    """

    def __init__(self) -> None:
        self._meanings = [Latest[bytes, M](_KEPT) for _ in range(PARTS)]
        #: Two halves, so that not all are forgotten at once.
        self._seen: list[set[int]] = [set() for _ in range(PARTS)]
        self._seen_before = self._seen.copy()
        self.recalls = [part.get for part in self._meanings]

    def is_worth_keeping(self, packet: bytes) -> bool:
        """Whether it has come before; asked of what the parser found to be one plain GET, nothing before or behind."""
        if len(packet) > _LONGEST_BYTES:
            return False
        mark = hash(packet)
        part = mark % PARTS
        seen = self._seen[part]
        if mark in seen or mark in self._seen_before[part]:
            return True
        if len(seen) >= _SEEN:
            self._seen_before[part] = seen
            seen = self._seen[part] = set()
        seen.add(mark)
        return False

    def keep(self, packet: bytes, meaning: M) -> None:
        """Remembers it."""
        self._meanings[hash(packet) % PARTS].put(packet, meaning)


class _Fields:
    """What a parser tells of header fields."""

    def __init__(self) -> None:
        self.found: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.found.append((name.lower(), value))


def fields_of(packet: bytes) -> list[tuple[bytes, bytes]]:
    """The header fields of a packet that is one request, names in lower case."""
    fields = _Fields()
    HttpRequestParser(fields).feed_data(packet)
    return fields.found
