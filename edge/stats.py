"""What an edge counts, in plain integers; `edge.census` reads them, `edge.metrics` turns them into Prometheus' form."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from precompute.durations import Histogram

#: A list of so many counts, one for each microsecond, is the fastest histogram there is: for hits.
LISTED_US = 1000
#: What takes longer is counted by `Stats.answered`; a little less than the list is long, for rounding.
LISTED_S = 0.000999


class Tier(enum.StrEnum):
    """Where an answer came from."""

    MEMORY = "memory"
    REPLICA = "replica"
    LIVE = "live"
    STALE = "stale"
    DEFAULT = "default"

    #: An enumeration's own is written in Python, and every answer is counted by its tier.
    __hash__ = str.__hash__


@dataclass(slots=True)
class Stats:
    """Counters of one edge process.

    A key that was asked for is counted once, by `answered` (or in `hits`) or by `failed`.
    """

    #: By model, variant and tier; `taken` knows those from `hits` as well.
    answers: dict[tuple[str, str, Tier], Histogram] = field(default_factory=dict)
    #: By model and HTTP status.
    errors: dict[tuple[str, int], int] = field(default_factory=dict)
    #: Of the answers, those that the client had already (304); by model.
    not_modified: dict[str, int] = field(default_factory=dict)
    #: Of the errors, those that were refused for load; by model.
    shed: dict[str, int] = field(default_factory=dict)
    #: Of fresh answers that were there already: those found first in each millisecond, so that the rest pays nothing.
    ages: Histogram = field(default_factory=Histogram)
    replica_failures: int = 0
    revalidations: int = 0
    revalidations_shed: int = 0
    foreseen_in_vain: int = 0
    corrupt_entries: int = 0
    _listed: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def answered(self, model: str, variant: str, tier: Tier, seconds: float) -> None:
        """One key was answered."""
        self._histogram(model, variant, tier).observe(seconds)

    def hits(self, model: str, variant: str) -> list[int]:
        """Counts of memory hits by whole microseconds, for those who count often."""
        return self._listed.setdefault((model, variant), [0] * LISTED_US)

    def failed(self, model: str, status: int, *, shed: bool = False) -> None:
        """One key was not answered."""
        self.errors[model, status] = self.errors.get((model, status), 0) + 1
        if shed:
            self.shed[model] = self.shed.get(model, 0) + 1

    def was_not_modified(self, model: str) -> None:
        """An answer that was counted need not be sent: its client has it."""
        self.not_modified[model] = self.not_modified.get(model, 0) + 1

    def all_answers(self) -> dict[tuple[str, str, Tier], Histogram]:
        """`answers`, with all that has been listed."""
        for (model, variant), counts in self._listed.items():
            histogram = self._histogram(model, variant, Tier.MEMORY)
            for us, count in enumerate(counts):
                if count:
                    histogram.observe((us + 0.5) / 1e6, count)
                    counts[us] = 0
        return self.answers

    def _histogram(self, model: str, variant: str, tier: Tier) -> Histogram:
        histogram = self.answers.get((model, variant, tier))
        if histogram is None:
            histogram = self.answers[model, variant, tier] = Histogram()
        return histogram
