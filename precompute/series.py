"""Series over time of what edges have counted, for people to look at. No I/O.

A step in which nobody has written is a gap, in all series. Where somebody has written but there is nothing to tell (no
latency without an answer, no ratio without a request), only that series has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from precompute.durations import Durations
from precompute.snapshot import Snapshot
from precompute.snapshot_sum import summed
from precompute.telemetry import COARSE, FINE, Width

Values = list[float | None]
TIERS = ("memory", "replica", "live", "stale", "default")
#: Tiers that answer without anything being computed first, and of these those whose answers are fresh.
HITS, FRESH_HITS = ("memory", "replica", "stale"), ("memory", "replica")
LATENCY_TIERS = ("memory", "replica", "live")
_SHARES = (0.5, 0.95, 0.99, 0.999)

#: More points than this say nothing more on any screen.
_MOST_POINTS = 360
_STEPS_S = (5, 10, 15, 30, 60, 120, 300)
#: A bucket is written right after it has ended, and has to get here.
ARRIVED_MS = 1_000
#: Beyond this nobody knows.
_FOREVER_S = 1e9


@dataclass(frozen=True, slots=True)
class Grid:
    """The steps that a range of time is cut into; the last one has ended, and what was written of it has arrived."""

    width: Width
    first_ms: int
    step_ms: int
    count: int

    @classmethod
    def of(cls, range_s: int, now_ms: int) -> Grid:
        """The finest steps that a range allows."""
        width = FINE if range_s * 1000 <= FINE.ms * FINE.kept else COARSE
        fits = (s for s in _STEPS_S if s * 1000 >= width.ms and range_s / s <= _MOST_POINTS)
        step_ms = next(fits, _STEPS_S[-1]) * 1000
        end_ms = (now_ms - ARRIVED_MS) // step_ms * step_ms
        count = max(1, range_s * 1000 // step_ms)
        return cls(width, end_ms - count * step_ms, step_ms, count)

    @property
    def times_ms(self) -> list[int]:
        """When each step begins."""
        return [self.first_ms + i * self.step_ms for i in range(self.count)]

    @property
    def end_ms(self) -> int:
        """When the last one ends."""
        return self.first_ms + self.count * self.step_ms


@dataclass(frozen=True, slots=True)
class Point:
    """What was counted in a step, and of how many seconds."""

    counted: Snapshot
    covered_s: float


def point(parts: Sequence[Snapshot], width: Width) -> Point | None:
    """The step that these buckets lie in; without any it is a gap."""
    return Point(summed(parts), len(parts) * width.ms / 1000) if parts else None


@dataclass(slots=True)
class Tally:
    """What a snapshot comes to: each key that was asked for is in one of the tiers, or in `errors`, or `shed`."""

    tiers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TIERS, 0))
    took: dict[str, Durations] = field(default_factory=dict)
    errors: int = 0
    shed: int = 0

    @classmethod
    def of(cls, counted: Snapshot) -> Tally:
        """Over all models and variants."""
        it = cls()
        for (_, _, tier), durations in counted.answers.items():
            it.tiers[tier] = it.tiers.get(tier, 0) + durations.count
            it.took[tier] = it.took[tier].merge(durations) if tier in it.took else durations
        it.shed = sum(count for (_, what), count in counted.of_which.items() if what == "shed")
        it.errors = sum(counted.errors.values()) - it.shed
        return it

    @property
    def requests(self) -> int:
        """Keys asked for."""
        return sum(self.tiers.values()) + self.errors + self.shed

    @property
    def all_took(self) -> Durations:
        """Of all tiers."""
        total = Durations()
        for durations in self.took.values():
            total = total.merge(durations)
        return total

    def share(self, tiers: Sequence[str]) -> float | None:
        """Of the requests, those that these tiers have answered."""
        return sum(self.tiers[tier] for tier in tiers) / self.requests if self.requests else None

    def per_request(self, count: float) -> float | None:
        """So many for each request."""
        return count / self.requests if self.requests else None


class Quantiles(msgspec.Struct):
    """Of latencies, in ms."""

    p50: Values = msgspec.field(default_factory=list)
    p95: Values = msgspec.field(default_factory=list)
    p99: Values = msgspec.field(default_factory=list)
    p999: Values = msgspec.field(default_factory=list)


class Spread(msgspec.Struct):
    """Median and 99th percentile of something."""

    p50: Values = msgspec.field(default_factory=list)
    p99: Values = msgspec.field(default_factory=list)


def _by_tier() -> dict[str, Values]:
    return {tier: [] for tier in TIERS}


def _latencies() -> dict[str, Quantiles]:
    return {tier: Quantiles() for tier in LATENCY_TIERS}


class Series(msgspec.Struct):
    """All series, one value for each step."""

    requests_per_s: dict[str, Values] = msgspec.field(default_factory=_by_tier)
    errors_per_s: Values = msgspec.field(default_factory=list)
    shed_per_s: Values = msgspec.field(default_factory=list)
    hit_ratio: Values = msgspec.field(default_factory=list)
    fresh_hit_ratio: Values = msgspec.field(default_factory=list)
    off_path_rows_per_request: Values = msgspec.field(default_factory=list)
    p99_ms: Values = msgspec.field(default_factory=list)
    latency_ms: dict[str, Quantiles] = msgspec.field(default_factory=_latencies)
    replica_lag_s: Values = msgspec.field(default_factory=list)
    follower_lag_s: Values = msgspec.field(default_factory=list)
    update_to_stale_ms: Spread = msgspec.field(default_factory=Spread)
    update_to_refreshed_ms: Spread = msgspec.field(default_factory=Spread)
    age_s: Spread = msgspec.field(default_factory=Spread)

    def add(self, step: Step, work: Work) -> None:
        """One step more."""
        for values, value in zip(self._columns(), step.values, strict=True):
            values.append(value)
        rows = step.revalidations + work.rows
        self.off_path_rows_per_request.append(_short(rows / step.requests) if step.requests else None)
        for values, value in zip(_lists(self.update_to_refreshed_ms), _spread(work.refreshed_after, 1000), strict=True):
            values.append(value)

    def _columns(self) -> list[Values]:
        """In the order of `Step.values`."""
        return [
            *self.requests_per_s.values(),
            self.errors_per_s,
            self.shed_per_s,
            self.hit_ratio,
            self.fresh_hit_ratio,
            self.p99_ms,
            *(values for quantiles in self.latency_ms.values() for values in _lists(quantiles)),
            self.replica_lag_s,
            self.follower_lag_s,
            *_lists(self.update_to_stale_ms),
            *_lists(self.age_s),
        ]


def _lists(struct: Quantiles | Spread) -> list[Values]:
    return [getattr(struct, name) for name in struct.__struct_fields__]


@dataclass(frozen=True, slots=True)
class Step:
    """What a step comes to: a value for each series but those that workers have a part in."""

    values: tuple[float | None, ...]
    requests: int
    revalidations: int

    @classmethod
    def of(cls, point: Point | None) -> Step:
        """The numbers of a step; all unknown in a gap."""
        counted = point.counted if point else Snapshot()
        tally, per_s = Tally.of(counted), 1 / point.covered_s if point else None
        p99 = tally.all_took.quantiles_s(0.99)
        values = (
            *(_short(per_s, tally.tiers[tier]) for tier in TIERS),
            _short(per_s, tally.errors),
            _short(per_s, tally.shed),
            _short(tally.share(HITS)),
            _short(tally.share(FRESH_HITS)),
            _short(p99[0], 1000) if p99 else None,
            *(value for tier in LATENCY_TIERS for value in _quantiles(tally.took.get(tier), _SHARES, 1000)),
            _known(counted.peaks.get("replica_lag_seconds")),
            _known(counted.peaks.get("follower_lag_seconds")),
            *_spread(counted.timings.get("update_to_stale"), 1000),
            *_spread(counted.timings.get("age"), 1),
        )
        return cls(values, tally.requests, counted.counters.get("revalidations", 0))


def _quantiles(durations: Durations | None, shares: Sequence[float], scale: float) -> list[float | None]:
    found = durations.quantiles_s(*shares) if durations is not None else None
    return [_short(value, scale) for value in found] if found else [None] * len(shares)


def _spread(durations: Durations | None, scale: float) -> list[float | None]:
    return _quantiles(durations, (0.5, 0.99), scale)


@dataclass(frozen=True, slots=True)
class Work:
    """What workers have done in a step.

    Attributes:
        rows: computed by refreshes, before anybody asked.
        refreshed_after: from a change to the prediction made anew.
    """

    rows: int = 0
    refreshed_after: Durations | None = None


NO_WORK = Work()


def off_path_rows(counted: Snapshot, work: Work) -> int:
    """Rows that were computed while nobody waited for them."""
    return counted.counters.get("revalidations", 0) + work.rows


def _known(seconds: float | None) -> float | None:
    return _short(seconds) if seconds is not None and seconds < _FOREVER_S else None


def _short(value: float | None, scale: float = 1.0) -> float | None:
    """Five digits: all of them would make a document three times as large, and mean nothing."""
    return None if value is None else float(f"{value * scale:.5g}")
