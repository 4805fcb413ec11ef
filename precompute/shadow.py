"""A version in the shadow of the one that serves: both compute the same keys from the same rows, nothing is stored."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from precompute.errors import PermanentError
from precompute.models import Key
from precompute.predictor import Predictor
from precompute.store import Store

#: Keys of one read and of one run of each model.
BATCH_KEYS = 500
#: Keys that differ most, and failures, shown one by one.
NAMED = 10


@dataclass(slots=True)
class OutputDifference:
    """How far apart the versions are in one output.

    Attributes:
        compared: keys with this output from both.
        unlike: of these, where the difference is no number: other labels, other shapes, NaN against a number.
        beyond: further apart than the tolerance, `unlike` included.
        largest, total: of the absolute differences that are numbers.
    """

    compared: int = 0
    unlike: int = 0
    beyond: int = 0
    largest: float = 0.0
    total: float = 0.0

    def add(self, difference: float, tolerance: float) -> None:
        """One key's absolute difference; infinite if it is no number."""
        self.compared += 1
        self.beyond += difference > tolerance
        if math.isinf(difference):
            self.unlike += 1
        else:
            self.total += difference
            self.largest = max(self.largest, difference)

    @property
    def mean(self) -> float:
        """Of the differences that are numbers."""
        alike = self.compared - self.unlike
        return self.total / alike if alike else 0.0

    @property
    def share_beyond(self) -> float:
        """The keys that differ by more than the tolerance."""
        return self.beyond / self.compared if self.compared else 0.0


@dataclass(frozen=True, slots=True, order=True)
class DifferentKey:
    """A key for which the versions say different things."""

    difference: float
    key: str
    active: object = field(compare=False)
    candidate: object = field(compare=False)


@dataclass(slots=True)
class Comparison:
    """What two versions made of the same keys.

    Attributes:
        beyond: keys with at least one output further apart than the tolerance.
        worst: those that differ most, by their largest difference.
        broken: keys that only the version that serves can compute, the first of them with reasons.
        mended: keys that only the candidate can compute.
        failed: keys that neither can.
    """

    tolerance: float
    compared: int = 0
    beyond: int = 0
    outputs: dict[str, OutputDifference] = field(default_factory=dict)
    worst: list[DifferentKey] = field(default_factory=list)
    broken: int = 0
    reasons: list[tuple[str, str]] = field(default_factory=list)
    mended: int = 0
    failed: int = 0

    def add(self, key: str, active: bytes | PermanentError, candidate: bytes | PermanentError) -> None:
        """Takes in one key's bodies, or why there is none."""
        if isinstance(active, PermanentError):
            if isinstance(candidate, PermanentError):
                self.failed += 1
            else:
                self.mended += 1
        elif isinstance(candidate, PermanentError):
            self.broken += 1
            if len(self.reasons) < NAMED:
                self.reasons.append((key, str(candidate)))
        else:
            self._compare(key, orjson.loads(active)["outputs"], orjson.loads(candidate)["outputs"])

    def _compare(self, key: str, active: dict[str, object], candidate: dict[str, object]) -> None:
        self.compared += 1
        furthest = 0.0
        for name in active.keys() | candidate.keys():
            there = name in active and name in candidate
            apart = distance(active[name], candidate[name]) if there else math.inf
            self.outputs.setdefault(name, OutputDifference()).add(apart, self.tolerance)
            furthest = max(furthest, apart)
        self.beyond += furthest > self.tolerance
        if furthest > 0:
            different = DifferentKey(furthest, key, active, candidate)
            if len(self.worst) < NAMED:
                heapq.heappush(self.worst, different)
            else:
                heapq.heappushpop(self.worst, different)

    @property
    def share_beyond(self) -> float:
        """The keys that differ by more than the tolerance in any output."""
        return self.beyond / self.compared if self.compared else 0.0


def distance(one: object, other: object) -> float:
    """The largest absolute difference between two outputs; infinite where they are not comparable numbers."""
    if isinstance(one, bool | str | None) or isinstance(other, bool | str | None):
        return 0.0 if type(one) is type(other) and one == other else math.inf
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return max(map(distance, one, other), default=0.0)
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return max((distance(one[name], other[name]) for name in one), default=0.0)
    return math.inf


def compare(
    store: Store,
    active: Predictor,
    candidate: Predictor,
    keys: Sequence[Key],
    tolerance: float,
    now_ms: Callable[[], int],
    on_progress: Callable[[int], None] = lambda count: None,
) -> Comparison:
    """Computes keys with both versions of a model, from the same reads.

    Raises:
        StoreUnavailable: Redis is away.
    """
    comparison = Comparison(tolerance)
    for part in _batches(keys):
        plan = active.plan(part)
        replies = store.run(plan.commands)
        bodies = (p.complete(plan, replies, now_ms()).bodies for p in (active, candidate))
        for key, one, other in zip(part, *bodies, strict=True):
            comparison.add(key.text, one, other)
        on_progress(len(part))
    return comparison


def _batches(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    for at in range(0, len(keys), BATCH_KEYS):
        yield keys[at : at + BATCH_KEYS]
