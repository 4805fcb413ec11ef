"""Hot keys: which ones are asked for most, counted at the edges and merged in the store.

Edge: `HotCounter` counts one model's requests, exactly in a small dict and beyond that in a frequent-items sketch
(Misra-Gries with batched decrements, as in Apache DataSketches). A sketch of 2^13 slots names every key with more
than 1/2340 of a window's requests, and knows each count to within that; a window of up to 6,144 keys is exact.

Store: flushed windows wait in `hot:{model}:windows`. `merge` folds them into `hot:{model}`, whose scores are
requests per second, averaged exponentially: `c` requests now add `c * ln 2 / half-life`, and every score halves in
one half-life, so a steady rate is what its score converges to. A score never overstates its key; it understates it
by at most `HotState.error_per_s`.

Sources: Misra and Gries, "Finding repeated elements", 1982; Anderson et al., "A high-performance algorithm for
identifying frequent items in data streams", 2017 (https://arxiv.org/abs/1705.07001).
"""

from __future__ import annotations

import heapq
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from datasketches import frequent_items_error_type, frequent_strings_sketch

from precompute.hot_trend import FOLLOWED, Recent
from precompute.keys import hot_key, hot_next_key, hot_recent_key, hot_state_key, hot_windows_key
from precompute.store import Store, checked
from precompute.updates import Command

SKETCH_LG_SLOTS = 13
#: Keys counted in front of the sketch; handing them over takes 0.2 ms, which a request may have to wait.
FRONT_KEYS = 1024
#: Tallies that are watched at a time.
MAX_TALLIES = 1 << 15
#: Windows that may wait for a merge: some minutes of a dozen edges, at up to 150 KB each.
MAX_WINDOWS = 128
#: A key is forgotten when less than this is left of one request: five half-lives after the last.
FORGOTTEN = 1 / 32
#: Members of one ZADD; replicas are answering meanwhile.
_WRITE_SLICE = 500

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
        """One request; about 0.1 µs, and 0.3 where many keys are asked for."""
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
        """Moves some of what was counted into the sketch, in 0.3 ms; whether there is more."""
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


@dataclass(frozen=True, slots=True)
class HotState:
    """What is known about a model's scores as a whole.

    Attributes:
        merged_ms: when windows were merged last, 0 for never.
        total_per_s: requests per second over all keys, averaged like the scores.
        error_per_s: by how much a score may fall short of its key's rate.
        windows: merged so far.
        corrupt: skipped so far.
    """

    merged_ms: int = 0
    total_per_s: float = 0.0
    error_per_s: float = 0.0
    windows: int = 0
    corrupt: int = 0


@dataclass(frozen=True, slots=True)
class Merged:
    """The outcome of a merge; `rates` holds at most the number of keys asked for."""

    rates: dict[str, float]
    state: HotState


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRule:
    """How fast weights fade and how many keys are kept."""

    half_life_s: float
    keep: int
    _per_request: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_per_request", math.log(2) / self.half_life_s)

    def merged(
        self, rates: Mapping[str, float], state: HotState, windows: Sequence[Window | None], now_ms: int
    ) -> Merged:
        """Fades what was known and adds the windows; None stands for a damaged one."""
        fade = self._fade(state, now_ms)
        faded = {key: rate * fade for key, rate in rates.items()}
        good = [window for window in windows if window is not None]
        for window in good:
            for key, count in window.counts.items():
                faded[key] = faded.get(key, 0.0) + count * self._per_request
        return Merged(
            self._kept(faded),
            HotState(
                now_ms,
                state.total_per_s * fade + sum(w.total for w in good) * self._per_request,
                state.error_per_s * fade + sum(w.error for w in good) * self._per_request,
                state.windows + len(good),
                state.corrupt + len(windows) - len(good),
            ),
        )

    def due(self, state: HotState, waiting: int, now_ms: int) -> bool:
        """Whether a merge would change anything worth writing."""
        return waiting > 0 or (state.total_per_s > 0 and self._fade(state, now_ms) < 0.9)

    def _fade(self, state: HotState, now_ms: int) -> float:
        # A clock set back must not make weights grow.
        elapsed_s = max(0, now_ms - state.merged_ms) / 1000
        return math.exp2(-min(elapsed_s / self.half_life_s, 1000.0))

    def _kept(self, rates: dict[str, float]) -> dict[str, float]:
        lowest = FORGOTTEN * self._per_request
        alive = [(rate, key) for key, rate in rates.items() if rate >= lowest]
        if len(alive) > self.keep:
            alive = heapq.nlargest(self.keep, alive)
        return {key: rate for rate, key in alive}


def flush_commands(model: str, blob: bytes) -> list[Command]:
    """Hands a window over; the oldest windows give way if nobody has merged for long."""
    name = hot_windows_key(model)
    return [("RPUSH", name, blob), ("LTRIM", name, -MAX_WINDOWS, -1)]


def merge(store: Store, model: str, rule: MergeRule, now_ms: int) -> HotState:
    """Folds waiting windows into the model's scores. One process at a time may do this: the leading scheduler.

    Raises:
        StoreUnavailable: nothing was changed, the windows still wait.
    """
    state = read_state(store, model)
    blobs: list[bytes] = store.call("LRANGE", hot_windows_key(model), 0, MAX_WINDOWS - 1)
    if not rule.due(state, len(blobs), now_ms):
        return state
    windows = [Window.parse(blob) for blob in blobs]
    merged = rule.merged(dict(top(store, model, rule.keep)), state, windows, now_ms)
    before = Recent.parse(store.call("GET", hot_recent_key(model))) or Recent(state.merged_ms, 0.0, {})
    _write(store, model, merged, len(blobs), _recent(before, merged, windows, now_ms))
    return merged.state


def _recent(before: Recent, merged: Merged, windows: Sequence[Window | None], now_ms: int) -> Recent:
    good = [window for window in windows if window is not None]
    hottest = heapq.nlargest(FOLLOWED, merged.rates, key=merged.rates.__getitem__)
    counts = {key: sum(window.counts.get(key, 0) for window in good) for key in hottest}
    return before.followed(hottest, counts, sum(window.total for window in good), now_ms)


def top(store: Store, model: str, count: int) -> list[tuple[str, float]]:
    """The hottest keys and their requests per second, hottest first."""
    if count < 1:
        return []
    return _rated(store.call("ZREVRANGE", hot_key(model), 0, count - 1, "WITHSCORES"))


def snapshot(store: Store, model: str, count: int) -> tuple[list[tuple[str, float]], HotState]:
    """`top` and `read_state` of the same moment."""
    scores, state = store.atomically(
        [("ZREVRANGE", hot_key(model), 0, count - 1, "WITHSCORES"), ("HGETALL", hot_state_key(model))]
    )
    return _rated(scores), _state(state)


def read_state(store: Store, model: str) -> HotState:
    """What is known about the model's scores as a whole."""
    return _state(store.call("HGETALL", hot_state_key(model)))


def _rated(flat: Sequence[bytes]) -> list[tuple[str, float]]:
    return [(key.decode(), float(score)) for key, score in zip(flat[::2], flat[1::2], strict=True)]


def _state(flat: Sequence[bytes]) -> HotState:
    found = {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}
    return HotState(
        int(found.get("merged_ms", 0)),
        float(found.get("total_per_s", 0)),
        float(found.get("error_per_s", 0)),
        int(found.get("windows", 0)),
        int(found.get("corrupt", 0)),
    )


def _write(store: Store, model: str, merged: Merged, windows: int, recent: Recent) -> None:
    """Builds the new scores beside the old ones and swaps them in one step, together with the windows they hold."""
    fresh = hot_next_key(model)
    pairs = [(rate, key) for key, rate in merged.rates.items()]
    commands: list[Command] = [("DEL", fresh)]
    for at in range(0, len(pairs), _WRITE_SLICE):
        flat = [piece for pair in pairs[at : at + _WRITE_SLICE] for piece in pair]
        commands.append(("ZADD", fresh, *flat))
    for reply in store.run(commands):
        checked(reply)
    state = merged.state
    swap: Command = ("RENAME", fresh, hot_key(model)) if pairs else ("DEL", hot_key(model))
    store.atomically(
        [
            swap,
            ("LTRIM", hot_windows_key(model), windows, -1),
            ("SET", hot_recent_key(model), recent.encode()),
            ("HSET", hot_state_key(model), "merged_ms", state.merged_ms, "total_per_s", state.total_per_s,
             "error_per_s", state.error_per_s, "windows", state.windows, "corrupt", state.corrupt),
        ]
    )  # fmt: skip
