"""What an edge counts."""

from __future__ import annotations

import pytest

from edge.stats import BUCKETS_S, Histogram, Stats, Tier


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0.0, 0), (0.00005, 0), (0.000051, 1), (0.001, 7), (5.0, len(BUCKETS_S) - 1), (5.1, len(BUCKETS_S))],
)
def test_a_duration_falls_into_the_first_bucket_that_holds_it(seconds: float, bucket: int) -> None:
    """Bounds are inclusive, as Prometheus has them; the last bucket has none."""
    histogram = Histogram()

    histogram.observe(seconds)

    assert histogram.counts.index(1) == bucket
    assert (histogram.count, histogram.total_s) == (1, seconds)


def test_buckets_grow() -> None:
    """Or a duration would be counted in the wrong one."""
    assert sorted(set(BUCKETS_S)) == list(BUCKETS_S)


def test_answers_and_errors_are_counted_apart() -> None:
    """By model and tier, and by model and status."""
    stats = Stats()

    stats.answered("late", Tier.MEMORY, 0.001)
    stats.answered("late", Tier.MEMORY, 0.002)
    stats.answered("late", Tier.LIVE, 0.003)
    stats.failed("late", 422)
    stats.failed("", 404)
    stats.failed("late", 422)

    assert {key: h.count for key, h in stats.answers.items()} == {("late", Tier.MEMORY): 2, ("late", Tier.LIVE): 1}
    assert stats.errors == {("late", 422): 2, ("", 404): 1}
