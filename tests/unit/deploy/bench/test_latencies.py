"""What runs amount to."""

from __future__ import annotations

from array import array
from collections import Counter

import pytest

from deploy.bench.latencies import Outcome, percentile


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.01, 1.0), (0.5, 50.0), (0.99, 99.0), (0.991, 100.0), (1.0, 100.0)]
)
def test_a_percentile_is_a_value_that_occurred(share: float, expected: float) -> None:
    """The least one that so many do not exceed."""
    assert percentile([float(n) for n in range(1, 101)], share) == expected


def test_there_may_be_no_values() -> None:
    """Then every percentile is 0, and so is the rate."""
    assert (percentile([], 0.99), Outcome().per_s, Outcome().ms(0.5)) == (0.0, 0.0, [0.0])


def test_an_outcome_counts_what_failed() -> None:
    """Other answers, and those that never came."""
    kinds = Counter({(200, "memory"): 1, (200, "live"): 1, (503, ""): 1})
    outcome = Outcome(2.0, array("d", [0.003, 0.001, 0.002]), kinds, unanswered=4)

    assert outcome.failed() == 5
    assert (outcome.statuses, outcome.tiers) == ({200: 2, 503: 1}, {"memory": 1, "live": 1})
    assert outcome.per_s == 1.5
    assert outcome.ms(0.5, 1.0) == [2.0, 3.0]
