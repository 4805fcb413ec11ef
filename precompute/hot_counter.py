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
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from datasketches import frequent_items_error_type, frequent_strings_sketch

SKETCH_LG_SLOTS = 13
#: Keys counted in front of the sketch.
FRONT_KEYS = 256
#: Keys that are handed over at a time. A request may have to wait for that: 5 µs, and 30 where the processor has slept
#: in between and has nothing of it at hand.
STEP_KEYS = 32
#: Tallies that are watched at a time.
MAX_TALLIES = 1 << 15

_HEAD = struct.Struct("<BI")
_FORMAT = 1


class Tally(Protocol):
    """Requests for one key, counted by somebody else since they were last handed over."""

    key: str
    asked: int


class HotCounter:
    """Counts the requests of one model between two flushes; for one thread."""

    __slots__ = ("_front", "_sketch", "_tallies")

    def __init__(self) -> None:
        self._front: dict[str, int] = {}
        self._tallies: deque[Tally] = deque()
        self._sketch: frequent_strings_sketch | None = None

    def hit(self, key: str) -> None:
        """One request; about 0.1 µs, and 0.25 where many keys are asked for."""
        front = self._front
        if key in front:
            front[key] += 1
            return
        if len(front) >= FRONT_KEYS:
            self._step_front()
        front[key] = 1

    def watch(self, tally: Tally) -> None:
        """Told of a tally that is no longer 0; from then on a request costs an addition."""
        if len(self._tallies) >= MAX_TALLIES:
            self._step_tallies()
        self._tallies.append(tally)

    def hand_over(self) -> Iterator[None]:
        """Moves into the sketch what has been counted until now, a little at each step; what comes meanwhile stays."""
        keys, tallies = len(self._front), len(self._tallies)
        for left in range(keys, 0, -STEP_KEYS):
            self._step_front(min(left, STEP_KEYS))
            yield
        for left in range(tallies, 0, -STEP_KEYS):
            self._step_tallies(min(left, STEP_KEYS))
            yield

    def take(self) -> bytes | None:
        """What was handed over since the last call, serialized; None if nothing was."""
        sketch, self._sketch = self._sketch, None
        if sketch is None or sketch.is_empty():
            return None
        data: bytes = sketch.serialize()
        return _HEAD.pack(_FORMAT, zlib.crc32(data)) + data

    def drain(self) -> bytes | None:
        """All that was counted since the last call, serialized; None if nothing was."""
        for _ in self.hand_over():
            pass
        return self.take()

    def _step_front(self, keys: int = STEP_KEYS) -> None:
        front, sketch = self._front, self._counted()
        for key in list(islice(front, keys)):
            sketch.update(key, front.pop(key))

    def _step_tallies(self, keys: int = STEP_KEYS) -> None:
        tallies, sketch = self._tallies, self._counted()
        for _ in range(min(keys, len(tallies))):
            tally = tallies.popleft()
            sketch.update(tally.key, tally.asked)
            tally.asked = 0

    def _counted(self) -> frequent_strings_sketch:
        if self._sketch is None:
            self._sketch = frequent_strings_sketch(SKETCH_LG_SLOTS)
        return self._sketch


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
