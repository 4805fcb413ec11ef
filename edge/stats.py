"""What an edge counts, in plain integers; `edge.metrics` turns them into Prometheus' form."""

from __future__ import annotations

import enum
from bisect import bisect_left
from dataclasses import dataclass, field

#: Upper bounds of the latency buckets in seconds: from 50 µs, doubling or less.
BUCKETS_S = (
    0.00005, 0.0001, 0.00015, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01,
    0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
)  # fmt: skip
_FIRST_S = BUCKETS_S[0]


class Tier(enum.StrEnum):
    """Where an answer came from."""

    MEMORY = "memory"
    REPLICA = "replica"
    LIVE = "live"
    STALE = "stale"
    DEFAULT = "default"

    #: An enumeration's own is written in Python, and every answer is counted by its tier.
    __hash__ = str.__hash__


class Histogram:
    """Counts of durations by bucket; the last bucket has no upper bound."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        """Counts one duration."""
        # Most answers come from memory, at once.
        self.counts[0 if seconds <= _FIRST_S else bisect_left(BUCKETS_S, seconds)] += 1
        self.total_s += seconds

    @property
    def count(self) -> int:
        """How many durations."""
        return sum(self.counts)


@dataclass(slots=True)
class Stats:
    """Counters of one edge process."""

    #: By model and tier.
    answers: dict[tuple[str, Tier], Histogram] = field(default_factory=dict)
    #: By model and HTTP status.
    errors: dict[tuple[str, int], int] = field(default_factory=dict)
    not_modified: int = 0
    replica_failures: int = 0
    revalidations_shed: int = 0
    corrupt_entries: int = 0

    def answered(self, model: str, tier: Tier, seconds: float) -> None:
        """One key was answered."""
        self.histogram(model, tier).observe(seconds)

    def histogram(self, model: str, tier: Tier) -> Histogram:
        """The durations of one model and tier."""
        histogram = self.answers.get((model, tier))
        if histogram is None:
            histogram = self.answers[model, tier] = Histogram()
        return histogram

    def failed(self, model: str, status: int) -> None:
        """One key was not answered."""
        self.errors[model, status] = self.errors.get((model, status), 0) + 1
