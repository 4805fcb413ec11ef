"""Hot keys: counted at the edges, merged with decay."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from precompute.hot_counter import Window
from precompute.hotkeys import HotState, MergeRule

RULE = MergeRule(half_life_s=600.0, keep=3)
#: What one request adds to a rate.
ONE = math.log(2) / 600.0


def window(counts: dict[str, int], error: int = 0) -> Window:
    """A window as it comes out of a sketch."""
    return Window(counts, sum(counts.values()), error)


def test_rates_halve_in_a_half_life() -> None:
    """A key that nobody asks for any more fades."""
    merged = RULE.merged({"a": 8.0}, HotState(merged_ms=0, total_per_s=8.0, error_per_s=0.5), [], 600_000)

    assert merged.rates == {"a": pytest.approx(4.0)}
    assert merged.state == HotState(600_000, pytest.approx(4.0), pytest.approx(0.25))


def test_a_steady_rate_is_what_the_score_converges_to() -> None:
    """20 requests a second for ten half-lives read as 20."""
    rates: dict[str, float] = {}
    state = HotState(merged_ms=1)
    for step in range(1, 1201):
        merged = RULE.merged(rates, state, [window({"a": 100})], 1 + step * 5000)
        rates, state = merged.rates, merged.state

    assert rates["a"] == pytest.approx(20.0, rel=0.01)
    assert state.total_per_s == pytest.approx(20.0, rel=0.01)


def test_the_same_key_from_two_edges_adds_up() -> None:
    """Windows of several edges merge into one score."""
    merged = RULE.merged({}, HotState(), [window({"a": 1, "b": 4}), window({"a": 2}, error=1)], 1000)

    assert merged.rates == {"a": pytest.approx(3 * ONE), "b": pytest.approx(4 * ONE)}
    assert merged.state.error_per_s == pytest.approx(ONE)
    assert merged.state.windows == 2


def test_only_the_hottest_are_kept() -> None:
    """What is stored is bounded."""
    merged = RULE.merged({"old": 100 * ONE}, HotState(merged_ms=5), [window({"a": 1, "b": 2, "c": 3})], 5)

    assert merged.rates.keys() == {"old", "c", "b"}


def test_a_key_that_has_faded_away_is_forgotten() -> None:
    """A single request is remembered for five half-lives."""
    state = HotState(merged_ms=0, total_per_s=ONE)

    assert RULE.merged({"a": ONE}, state, [], 2_990_000).rates
    assert not RULE.merged({"a": ONE}, state, [], 3_010_000).rates


def test_a_damaged_window_costs_the_others_nothing() -> None:
    """It is counted and skipped."""
    merged = RULE.merged({}, HotState(), [None, window({"a": 1})], 1000)

    assert merged.rates.keys() == {"a"}
    assert (merged.state.windows, merged.state.corrupt) == (1, 1)


def test_a_clock_set_back_fades_nothing() -> None:
    """Rates must not grow because time seems to run backwards."""
    merged = RULE.merged({"a": 1.0}, HotState(merged_ms=10_000), [], 0)

    assert merged.rates == {"a": 1.0}


def test_an_idle_model_is_merged_only_now_and_then() -> None:
    """Without windows, writing all scores anew is worth it only once they have faded noticeably."""
    state = HotState(merged_ms=0, total_per_s=1.0)

    assert not RULE.due(state, 0, 10_000)
    assert RULE.due(state, 0, 100_000)
    assert RULE.due(state, 1, 0)
    assert not RULE.due(HotState(), 0, 10**12)


@given(counts=st.dictionaries(st.text(min_size=1, max_size=4), st.integers(1, 50), max_size=30))
def test_what_is_kept_is_never_colder_than_what_is_dropped(counts: dict[str, int]) -> None:
    """The cut is by rate."""
    kept = RULE.merged({}, HotState(), [window(counts)], 1).rates

    dropped = [count for key, count in counts.items() if key not in kept]
    assert len(kept) == min(3, len(counts))
    assert all(counts[key] >= count for key in kept for count in dropped)


def test_a_merge_rule_is_monotonic_in_time() -> None:
    """The longer ago, the less is left."""
    left = [RULE.merged({"a": 1.0}, HotState(), [], ms).rates["a"] for ms in range(1, 2_000_000, 100_000)]

    assert all(later < earlier for earlier, later in pairwise(left))
