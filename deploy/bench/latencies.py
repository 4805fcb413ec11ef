"""What a run of many requests amounts to."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` of the sorted values do not exceed; 0 if there are none."""
    if not ordered:
        return 0.0
    # Rounded up, so that a p99.9 of fewer than a thousand values is the largest.
    rank = -int(-share * len(ordered) // 1)
    return ordered[min(len(ordered), max(1, rank)) - 1]


@dataclass(slots=True)
class Outcome:
    """One run.

    Attributes:
        took_s: from the first request to the last answer.
        latencies_s: one for each answer; in an open loop from the moment it was due.
        kinds: answers by HTTP status, and by where `Cache-Status` says they came from; "" if it is not there.
        unanswered: requests that were due and got no answer.
        opened: answers to the requests that opened the connections, which count for nothing else.
    """

    took_s: float = 0.0
    latencies_s: array[float] = field(default_factory=lambda: array("d"))
    kinds: Counter[tuple[int, str]] = field(default_factory=Counter)
    unanswered: int = 0
    opened: int = 0

    @property
    def statuses(self) -> Counter[int]:
        """Answers by HTTP status."""
        found: Counter[int] = Counter()
        for (status, _), count in self.kinds.items():
            found[status] += count
        return found

    @property
    def tiers(self) -> Counter[str]:
        """Answers by where they came from, of those that say so."""
        found: Counter[str] = Counter()
        for (_, tier), count in self.kinds.items():
            if tier:
                found[tier] += count
        return found

    @property
    def per_s(self) -> float:
        """Answers per second."""
        return len(self.latencies_s) / self.took_s if self.took_s else 0.0

    def failed(self) -> int:
        """Answers other than 200, and those that never came."""
        return self.unanswered + self.statuses.total() - self.statuses[200]

    def ms(self, *shares: float) -> list[float]:
        """Percentiles in milliseconds."""
        ordered = sorted(self.latencies_s)
        return [percentile(ordered, share) * 1000 for share in shares]
