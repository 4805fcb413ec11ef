"""What an audit has found so far, as figures."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from deploy.audit.verdict import FRESH, VIOLATIONS, Finding, Verdict

#: A continuous audit keeps so many ages, the latest ones.
_KEPT = 100_000
_EXAMPLES = 10
#: 95 % certainty: of the bound when nothing was found (the rule of three), and in Wilson's interval (one-sided).
_NONE_FOUND = 3.0
_NORMAL_95 = 1.645


@dataclass(frozen=True, slots=True)
class Example:
    """An answer that must never be."""

    verdict: Verdict
    edge: str
    model: str
    key: str
    behind_ms: int | None
    answered: object
    expected: object


class Report:
    """Findings, counted.

    Attributes:
        beyond_lag: answers out of date for longer than the edge's own lag explains, within what the policy allows.
    """

    def __init__(self) -> None:
        self.counts: Counter[Verdict] = Counter()
        self.beyond_lag = 0
        self.examples: list[Example] = []
        self._ages_ms: deque[int] = deque(maxlen=_KEPT)
        self._behind_ms: dict[Verdict, deque[int]] = {v: deque(maxlen=_KEPT) for v in Verdict}

    def add(self, finding: Finding, age_ms: int | None) -> None:
        """One finding; the age is that of the prediction."""
        self.counts[finding.verdict] += 1
        if age_ms is not None:
            self._ages_ms.append(max(0, age_ms))
        if finding.behind_ms is not None:
            self._behind_ms[finding.verdict].append(finding.behind_ms)

    def show(self, example: Example) -> None:
        """Keeps the first few."""
        if len(self.examples) < _EXAMPLES:
            self.examples.append(example)

    @property
    def violations(self) -> int:
        """Answers that must never be."""
        return sum(self.counts[verdict] for verdict in VIOLATIONS)

    def document(self) -> dict[str, object]:
        """All figures."""
        fresh = sum(self.counts[verdict] for verdict in FRESH)
        false = fresh - self.counts[Verdict.CORRECT] - self.counts[Verdict.IN_FLIGHT]
        bound = upper_bound(false, fresh)
        return {
            "samples": self.counts.total(),
            **{verdict.value: self.counts[verdict] for verdict in Verdict},
            "in_flight_beyond_lag": self.beyond_lag,
            "fresh_answers": fresh,
            "consistency": round(1 - false / fresh, 9) if fresh else None,
            "false_at_most": None if bound is None else float(f"{bound:.3g}"),
            "nines": None if bound is None else nines(bound),
            "age_s": spread_s(self._ages_ms),
            "in_flight_for_s": spread_s(self._behind_ms[Verdict.IN_FLIGHT]),
            "stale_for_s": spread_s(self._behind_ms[Verdict.STALE]),
            "examples": [asdict(example) for example in self.examples],
        }


def upper_bound(found: int, samples: int) -> float | None:
    """The share of false answers that, with 95 % certainty, is not exceeded; None without samples."""
    if not samples:
        return None
    if not found:
        return min(1.0, _NONE_FOUND / samples)
    share, z2 = found / samples, _NORMAL_95**2
    spread = _NORMAL_95 * math.sqrt(share * (1 - share) / samples + z2 / (4 * samples**2))
    return min(1.0, (share + z2 / (2 * samples) + spread) / (1 + z2 / samples))


def nines(false_share: float) -> float:
    """99.9 % right is 3 nines; rounded down to tenths."""
    return math.floor(-math.log10(false_share) * 10 + 1e-9) / 10 if false_share < 1 else 0.0


def spread_s(values_ms: Iterable[int]) -> dict[str, float] | None:
    """Median, 95th percentile and maximum in seconds; None of nothing."""
    values = np.fromiter(values_ms, np.float64)
    if not len(values):
        return None
    p50, p95 = np.quantile(values, [0.5, 0.95]) / 1000
    return {"p50": round(float(p50), 3), "p95": round(float(p95), 3), "max": float(values.max()) / 1000}
