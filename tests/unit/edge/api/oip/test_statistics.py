"""Statistics in Triton's shape."""

from __future__ import annotations

from edge.api.oip.shapes import Duration
from edge.api.oip.statistics import of_model, of_variant
from precompute.durations import Durations
from precompute.snapshot import Snapshot

SNAPSHOT = Snapshot(
    answers={
        ("late", "default", "memory"): Durations({1: 5}, 50),
        ("late", "default", "live"): Durations({9: 2}, 2000),
        ("late", "fast", "stale"): Durations({1: 1}, 7),
        ("other", "default", "live"): Durations({1: 9}, 9),
    },
    errors={("late", 400): 3, ("late", 503): 1, ("other", 400): 8},
    computed={("late", "rows"): 20, ("late", "batches"): 4, ("late", "cpu_ns"): 999, ("other", "rows"): 1},
)


def test_a_model_s_are_those_of_all_its_variants() -> None:
    """Answers that were there already are hits; all others misses."""
    found = of_model(SNAPSHOT, "late", "3")

    assert (found.name, found.version, found.inference_count, found.execution_count) == ("late", "3", 20, 4)
    stats = found.inference_stats
    assert (stats.success, stats.fail) == (Duration(8, 2057), Duration(4))
    assert (stats.cache_hit, stats.cache_miss, stats.compute_infer) == (
        Duration(6, 57),
        Duration(2, 2000),
        Duration(4, 999),
    )


def test_a_variant_s_are_its_answers() -> None:
    """What it failed and computed is not known of it alone."""
    found = of_variant(SNAPSHOT, "late", "fast", "4")

    assert (found.version, found.inference_stats.success) == ("4", Duration(1, 7))
    assert (found.inference_stats.fail, found.execution_count) == (Duration(), 0)


def test_a_model_that_was_never_asked_has_counted_nothing() -> None:
    """Zeros, and no error."""
    assert of_model(SNAPSHOT, "unborn", "").inference_stats.success == Duration()
