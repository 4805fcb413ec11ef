"""Counts of durations: what is promised of quantiles, and that nothing depends on who counted."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.metrics import BUCKETS_S
from precompute.durations import BOUNDS_S, Durations, Histogram

SECONDS = st.floats(BOUNDS_S[0], BOUNDS_S[-1], exclude_min=True)
MANY = st.lists(SECONDS, min_size=1, max_size=50)


def counted(seconds: list[float]) -> Durations:
    """All of them."""
    histogram = Histogram()
    for each in seconds:
        histogram.observe(each)
    return histogram.taken()


def test_buckets_are_narrow() -> None:
    """None wider than 12.5 %: the middle of one is within 6.1 % of everything in it."""
    assert max(b / a for a, b in pairwise(BOUNDS_S)) <= 1.1251
    assert (BOUNDS_S[0], BOUNDS_S[-1]) == (5e-6, 1e6)


def test_what_prometheus_is_shown_are_some_of_the_bounds() -> None:
    """So that its coarse buckets are sums of ours."""
    assert set(BUCKETS_S) <= set(BOUNDS_S)


@given(MANY, st.floats(0.001, 1.0))
def test_a_quantile_is_off_by_six_percent_at_most(seconds: list[float], share: float) -> None:
    """Beside the value at that rank."""
    exact = sorted(seconds)[math.ceil(share * len(seconds)) - 1]

    found = counted(seconds).quantiles_s(share)

    assert found is not None
    assert found[0] == pytest.approx(exact, rel=0.0612)


@given(MANY, MANY)
def test_two_counts_add_up(a: list[float], b: list[float]) -> None:
    """To that of everything, bucket by bucket; and what has come since the first is the second."""
    both = counted(a).merge(counted(b))

    assert both.counts == counted(a + b).counts
    assert both.since(counted(a)).counts == counted(b).counts
    assert both.count == len(a) + len(b)


@given(st.lists(st.one_of(SECONDS, st.sampled_from(BUCKETS_S)), max_size=50))
def test_coarse_buckets_are_exact(seconds: list[float]) -> None:
    """As if they had been counted in these; bounds are inclusive."""
    bounds = [*BUCKETS_S, math.inf]

    assert counted(seconds).up_to(BUCKETS_S) == [sum(each <= bound for each in seconds) for bound in bounds]


def test_nothing_has_no_quantiles() -> None:
    """Not even a zero."""
    assert Durations().quantiles_s(0.5) is None


def test_what_is_beyond_all_bounds_is_counted() -> None:
    """In the first bucket, and behind the last."""
    assert counted([0.0, 1e9]).counts == {0: 1, len(BOUNDS_S): 1}
