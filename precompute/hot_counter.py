"""What one edge counts between two flushes: which keys it was asked for, and how often.

Exactly in front, and beyond that in a frequent-items sketch (Misra-Gries with batched decrements, as in Apache
DataSketches). A sketch of 2^13 slots names every key with more than 1/2340 of a window's requests, and knows each count
to within that; a window of up to 6,144 keys is exact.

Sources: Misra and Gries, "Finding repeated elements", 1982; Anderson et al., "A high-performance algorithm for
identifying frequent items in data streams", 2017 (https://arxiv.org/abs/1705.07001).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from datasketches import frequent_items_error_type, frequent_strings_sketch

SKETCH_LG_SLOTS = 13
#: Keys counted in front of the sketch; handing them over takes 0.03 ms, which a request may have to wait.
FRONT_KEYS = 256
#: Tallies that are watched at a time.
MAX_TALLIES = 1 << 15

_HEAD = struct.Struct("<BI")
_FORMAT = 1


class Tally(Protocol):
    """Requests for one key, counted by somebody else since `HotCounter.drain` was last called."""

    key: str
    asked: int


class HotCounter:
    """Counts the requests of one model between two flushes; for one thread."""

    __slots__ = ("_front", "_sketch", "_tallies")

    def __init__(self) -> None:
        self._front: dict[str, int] = {}
        self._tallies: list[Tally] = []
        self._sketch: frequent_strings_sketch | None = None

    def hit(self, key: str) -> None:
        """One request; about 0.1 µs, and 0.25 where many keys are asked for."""
        front = self._front
        if key in front:
            front[key] += 1
            return
        if len(front) >= FRONT_KEYS:
            self.hand_over()
        self._front[key] = 1

    def watch(self, tally: Tally) -> None:
        """Told of a tally that is no longer 0; from then on a request costs an addition."""
        if len(self._tallies) >= MAX_TALLIES:
            self.hand_over()
        self._tallies.append(tally)

    def hand_over(self) -> bool:
        """Moves some of what was counted into the sketch, in 0.03 ms; whether there is more."""
        sketch = self._sketch
        if sketch is None:
            sketch = self._sketch = frequent_strings_sketch(SKETCH_LG_SLOTS)
        if self._front:
            for key, count in self._front.items():
                sketch.update(key, count)
            self._front = {}
        else:
            for tally in self._tallies[-FRONT_KEYS:]:
                sketch.update(tally.key, tally.asked)
                tally.asked = 0
            del self._tallies[-FRONT_KEYS:]
        return bool(self._front or self._tallies)

    def drain(self) -> bytes | None:
        """What was counted since the last call, serialized; None if nothing was."""
        while self.hand_over():
            pass
        sketch, self._sketch = self._sketch, None
        if sketch is None or sketch.is_empty():
            return None
        data: bytes = sketch.serialize()
        return _HEAD.pack(_FORMAT, zlib.crc32(data)) + data


@dataclass(frozen=True, slots=True)
class Window:
    """What one edge counted between two flushes: guaranteed counts, each short by at most `error`."""

    counts: Mapping[str, int]
    total: int
    error: int

    @classmethod
    def parse(cls, blob: bytes) -> Window | None:
        """Reads what `HotCounter.drain` wrote; None if it is damaged."""
        if len(blob) < _HEAD.size or _HEAD.unpack_from(blob) != (_FORMAT, zlib.crc32(blob[_HEAD.size :])):
            return None
        try:
            sketch = frequent_strings_sketch.deserialize(blob[_HEAD.size :])
            items = sketch.get_frequent_items(frequent_items_error_type.NO_FALSE_NEGATIVES, 0)
        except (ValueError, RuntimeError):
            return None
        error = max((upper - lower for _, _, lower, upper in items[:1]), default=0)
        return cls({key: lower for key, _, lower, _ in items}, sketch.total_weight, error)
