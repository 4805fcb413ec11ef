"""What an edge counts."""

from __future__ import annotations

from edge.stats import LISTED_S, LISTED_US, Stats, Tier
from precompute.durations import BOUNDS_S


def test_answers_and_errors_are_counted_apart() -> None:
    """By model, variant and tier, and by model and status."""
    stats = Stats()

    stats.answered("late", "fast", Tier.MEMORY, 0.001)
    stats.answered("late", "fast", Tier.MEMORY, 0.002)
    stats.answered("late", "default", Tier.LIVE, 0.003)
    stats.failed("late", 422)
    stats.failed("", 404)
    stats.failed("late", 422)

    counts = {key: histogram.count for key, histogram in stats.answers.items()}
    assert counts == {("late", "fast", Tier.MEMORY): 2, ("late", "default", Tier.LIVE): 1}
    assert stats.errors == {("late", 422): 2, ("", 404): 1}


def test_parts_are_counted_beside_the_whole() -> None:
    """A refusal for load is an error, and an answer that need not be sent is an answer."""
    stats = Stats()

    stats.failed("late", 503, shed=True)
    stats.failed("late", 503)
    stats.was_not_modified("late")

    assert stats.errors == {("late", 503): 2}
    assert (stats.shed, stats.not_modified) == ({"late": 1}, {"late": 1})


def test_listed_hits_are_answers_from_memory() -> None:
    """To half a microsecond, once, and together with those that took too long for the list."""
    stats = Stats()
    listed = stats.hits("late", "fast")
    listed[21] += 3
    stats.answered("late", "fast", Tier.MEMORY, 0.5)

    twice = [stats.all_answers()["late", "fast", Tier.MEMORY].taken() for _ in range(2)]

    assert twice[0] == twice[1]
    assert {BOUNDS_S[bucket]: count for bucket, count in twice[0].counts.items()} == {22e-6: 3, 0.5: 1}
    assert twice[0].total_ns == 500_064_500
    assert stats.hits("late", "fast") is listed


def test_whatever_is_listed_has_a_place() -> None:
    """Rounding does not carry the longest of them past the end."""
    assert int(LISTED_S * 1_000_000) < LISTED_US
