"""Replays a stream on a virtual clock through the planner, hot keys and memory tier that nearcast runs with.

An edge and its replica are modelled as one place that holds predictions: `capacity` of them in the real S3-FIFO tier
(pushed ones take room like any other), or any number. A request finds a fresh prediction there or is a miss, which is
computed live and kept. Every flush the edge's counts are merged into the hot keys, and the planner chooses; a change
makes the chosen dependents due, and they are pushed when they have been coalesced and computed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from edge.memory import OVERHEAD_BYTES, Memory
from precompute.hot_counter import Window
from precompute.hotkeys import HotState, MergeRule
from tests.bench.streams import Stream
from workers.change_rates import ChangeRates, Entity
from workers.planner import Candidate, Rule, choose
from workers.request_rates import RequestRates

FLUSH_S = 5.0
HALF_LIFE_S = 600.0
#: From a change to the refreshed prediction at the edge.
PUSH_S = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy did on a stream."""

    fresh_hit_ratio: float
    rows_per_request: float


class _Held:
    """A prediction; all weigh the same."""

    __slots__ = ("hits", "made_s")
    size = 0

    def __init__(self, made_s: float) -> None:
        self.made_s = made_s
        self.hits = 0


class _Roomy:
    """A replica with room for everything."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}
        self.get = self._held.get
        self.put = self._held.__setitem__


class Simulation:
    """One policy on one stream."""

    def __init__(
        self, stream: Stream, refresh: str, hot_keys: int, *, roomy: bool = False, rule: Rule | None = None
    ) -> None:
        self._refresh = refresh
        self._rule = rule or Rule()
        self._names = [f"{key:08d}" for key in range(stream.keys)]
        self._groups = stream.group_of.tolist()
        self._stream = stream
        bytes_each = OVERHEAD_BYTES + len(self._names[0])
        self._tier: _Roomy | Memory[_Held] = _Roomy() if roomy else Memory(hot_keys * bytes_each)
        self._merge = MergeRule(half_life_s=HALF_LIFE_S, keep=hot_keys)
        self._scores: dict[str, float] = {}
        self._state = HotState()
        self._counts: Counter[str] = Counter()
        self._rates = RequestRates(HALF_LIFE_S)
        self._changes = ChangeRates(HALF_LIFE_S, 0.0)
        self._changed_s: defaultdict[int, float] = defaultdict(lambda: -1.0)
        self._pushed_by: dict[int, list[int]] = {}
        self._waiting: dict[int, None] = {}
        self._due_s = float("inf")
        self._rows = 0

    def run(self) -> Outcome:
        """Replays the stream."""
        hits, flush_s = 0, FLUSH_S
        changes = zip(self._stream.change_s.tolist(), self._stream.change_entities.tolist(), strict=True)
        change_s, entity = next(changes, (float("inf"), 0))
        for now_s, key in zip(self._stream.request_s.tolist(), self._stream.request_keys.tolist(), strict=True):
            while (first_s := min(change_s, flush_s, self._due_s)) <= now_s:
                if first_s == self._due_s:
                    self._push(first_s)
                elif first_s == flush_s:
                    self._flush(flush_s)
                    flush_s += FLUSH_S
                else:
                    self._change(entity, change_s)
                    change_s, entity = next(changes, (float("inf"), 0))
            hits += self._request(key, now_s)
        requests = len(self._stream.request_s)
        return Outcome(hits / requests, self._rows / requests)

    def _request(self, key: int, now_s: float) -> bool:
        name = self._names[key]
        self._counts[name] += 1
        held = self._tier.get(name)
        if held is not None and held.made_s > max(self._changed_s[key], self._changed_s[self._groups[key]]):
            return True
        self._tier.put(name, _Held(now_s))
        return False

    def _change(self, entity: int, now_s: float) -> None:
        self._changed_s[entity] = now_s
        self._changes.note(("", str(entity)), now_s)
        for key in self._pushed_by.get(entity, ()):
            self._waiting[key] = None
        if self._waiting and self._due_s == float("inf"):
            self._due_s = now_s + PUSH_S

    def _push(self, now_s: float) -> None:
        for key in self._waiting:
            self._tier.put(self._names[key], _Held(now_s))
        self._rows += len(self._waiting)
        self._waiting.clear()
        self._due_s = float("inf")

    def _flush(self, now_s: float) -> None:
        if self._refresh == "never":
            return
        window = Window(dict(self._counts), self._counts.total(), 0)
        self._counts.clear()
        now_ms = int(now_s * 1000)
        merged = self._merge.merged(self._scores, self._state, [window], now_ms)
        self._scores, self._state = merged.rates, merged.state
        self._pushed_by = {}
        for key in self._chosen(now_s, now_ms):
            self._pushed_by.setdefault(key, []).append(key)
            self._pushed_by.setdefault(self._groups[key], []).append(key)

    def _chosen(self, now_s: float, now_ms: int) -> list[int]:
        if self._refresh == "always":
            return [int(name) for name in self._scores]
        self._rates.observe(self._scores, now_ms)
        changes_per_s = self._changes.at(now_s)
        found = [
            Candidate(name, self._rates.per_s(name), sum(map(changes_per_s, self._entities(int(name)))))
            for name in self._scores
        ]
        return [int(candidate.key) for candidate in choose(found, self._rule).pushed]

    def _entities(self, key: int) -> Iterator[Entity]:
        return (("", str(entity)) for entity in (key, self._groups[key]))
