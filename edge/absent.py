"""Keys that cannot be computed because a row is missing: remembered, so that asking for them again costs no reads.

What is remembered obeys the same rule as a prediction: it holds as long as nothing it was found out from has changed
since its as-of. When the row comes, the change's record makes it stale, and the next request computes. A short TTL
bounds how long it holds at most.
"""

from __future__ import annotations

from collections.abc import Callable

from edge.memory import Memory
from precompute.errors import FeatureMissing, PermanentError
from precompute.freshness import Freshness, Verdict
from precompute.models import Key, Model, Policy
from precompute.updates import AsOf

#: One part in so many of the memory tier: unknown keys, which anybody can invent, must not push out predictions.
SHARE = 16


class Absent:
    """Why a key had no prediction, and until when that is worth believing."""

    __slots__ = ("as_of", "entity", "epoch", "field", "hits", "until_ms", "view", "watch")

    def __init__(
        self, model: Model, key: Key, error: FeatureMissing, as_of: AsOf, now_ms: int, freshness: Freshness
    ) -> None:
        self.view, self.entity, self.field = error.view, error.entity, error.field
        self.epoch = as_of.epoch
        self.as_of = (*as_of.ids, *as_of.ids[-1:])
        self.watch = freshness.watch(model.watched_views, model.watched(key))
        self.hits = 0
        self.until_ms = now_ms + int(model.policy.negative_ttl_s * 1000)

    @property
    def size(self) -> int:
        """Bytes that differ from one to the next."""
        return len(self.entity) + 8 * len(self.as_of)

    def holds(self, freshness: Freshness, now_ms: int) -> bool:
        """Whether it is still so, as far as this edge knows."""
        return now_ms < self.until_ms and freshness.verdict(self.watch, self.epoch, self.as_of) is Verdict.FRESH

    def error(self) -> FeatureMissing:
        """The same failure again; a new one each time, because a raised exception collects where it has been."""
        return FeatureMissing(self.view, self.entity, self.field)


class AbsentKeys:
    """What is known to be missing, at most `max_bytes` of it."""

    def __init__(
        self, max_bytes: int, freshness: Freshness, lag_s: Callable[[], float], now_ms: Callable[[], int]
    ) -> None:
        self._memory: Memory[Absent] = Memory(max_bytes)
        self._freshness = freshness
        self._lag_s = lag_s
        self._now_ms = now_ms
        #: Requests that cost no read.
        self.hits = 0

    def __len__(self) -> int:
        return len(self._memory)

    def refuse(self, name: str, policy: Policy) -> None:
        """Fails as computing the entry of this name would; does nothing if that is not known.

        Raises:
            FeatureMissing: a row is missing.
        """
        absent = self._memory.get(name)
        if absent is None or self._lag_s() > policy.max_lag_s:
            return
        if absent.holds(self._freshness, self._now_ms()):
            self.hits += 1
            raise absent.error()
        self._memory.remove(name)

    def peek(self, name: str) -> Absent | None:
        """What is known, without counting as a request."""
        return self._memory.peek(name)

    def learn(self, name: str, model: Model, key: Key, body: bytes | PermanentError, as_of: AsOf) -> None:
        """The outcome of computing a key."""
        if isinstance(body, FeatureMissing) and model.policy.negative_ttl_s > 0:
            self._memory.put(name, Absent(model, key, body, as_of, self._now_ms(), self._freshness))
        else:
            self._memory.remove(name)
