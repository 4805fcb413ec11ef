"""What the parser made of packets, remembered: a client sends the same bytes again when it asks for the same key.

A parser between two messages makes the same of the same bytes, whenever and on whichever connection they come. Only a
packet that was exactly one plain GET, and has been seen before, is kept: what differs each time, because it carries
the number of a request or a trace, leaves a hash behind and nothing else.
"""

from __future__ import annotations

from edge.latest import Latest

#: Packets that are kept at most, and hashes in each half: 20 MB if all are as long as they may be.
_KEPT = 1 << 14
_SEEN = 1 << 14
_LONGEST_BYTES = 1024


class Packets:
    """The targets of packets, for all connections of one process."""

    def __init__(self) -> None:
        self._targets = Latest[bytes, bytes](_KEPT)
        #: Two halves, so that not all are forgotten at once.
        self._seen: set[int] = set()
        self._seen_before: set[int] = set()
        #: The target of the GET that a packet is, None if it is not known to be one.
        self.target = self._targets.get

    def learn(self, packet: bytes, target: bytes) -> None:
        """Takes note of a packet that the parser found to be one plain GET, and nothing before or behind it."""
        if len(packet) > _LONGEST_BYTES:
            return
        mark = hash(packet)
        if mark in self._seen or mark in self._seen_before:
            self._targets.put(packet, target)
            return
        if len(self._seen) >= _SEEN:
            self._seen_before, self._seen = self._seen, set()
        self._seen.add(mark)
