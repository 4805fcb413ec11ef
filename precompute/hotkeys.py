"""Hot keys: which ones are asked for most, counted at the edges and merged in the store.

Edge: `precompute/hot_counter.py` counts one model's requests.

Store: flushed windows wait in `hot:{model}:windows`. `merge` folds them into `hot:{model}`, whose scores are
requests per second, averaged exponentially: `c` requests now add `c * ln 2 / half-life`, and every score halves in
one half-life, so a steady rate is what its score converges to. A score never overstates its key; it understates it
by at most `HotState.error_per_s`.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from precompute.hot_counter import Window
from precompute.hot_trend import FOLLOWED, Recent
from precompute.keys import hot_key, hot_next_key, hot_recent_key, hot_state_key, hot_windows_key
from precompute.store import Store, checked
from precompute.updates import Command

#: Windows that may wait for a merge: some minutes of a dozen edges, at up to 150 KB each.
MAX_WINDOWS = 128
#: A key is forgotten when less than this is left of one request: five half-lives after the last.
FORGOTTEN = 1 / 32
#: Members of one ZADD; replicas are answering meanwhile.
_WRITE_SLICE = 500


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
