"""Which hot predictions are recomputed before they expire."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from precompute.models import Policy
from workers.expiry import LONGEST_TRUST_S, MAX_PATIENCE_S, PATIENCE_S, Watchlist, left_s, margin_s, pays

POLICY = Policy(ttl_s=600.0, refresh="always")
#: Five percent of the TTL.
MARGIN = 30.0


def watchlist() -> Watchlist:
    """A list that has seen nothing yet."""
    return Watchlist(POLICY, look_every_s=2.0)


@pytest.mark.parametrize(("ttl_s", "expected"), [(600.0, 30.0), (36_000.0, 60.0), (40.0, 6.0), (4.0, 2.0)])
def test_the_margin_leaves_time_for_a_few_looks(ttl_s: float, expected: float) -> None:
    """Long enough to be computed in time, never more than half a life."""
    assert margin_s(Policy(ttl_s=ttl_s), 2.0) == expected


def test_freshness_ends_before_the_entry_does() -> None:
    """Entries outlive their TTL to be served stale; that time does not count."""
    policy = Policy(ttl_s=100.0, stale_if_error_s=50.0)

    assert left_s(60_000, policy) == 10.0
    assert left_s(-2, policy) is None
    assert left_s(-1, policy) == math.inf


@pytest.mark.parametrize(
    ("refresh", "rate", "expected"),
    [("never", 100.0, False), ("always", 0.0, True), ("value", 0.002, True), ("value", 0.001, False)],
)
def test_refreshing_pays_if_somebody_is_likely_to_ask(refresh: str, rate: float, expected: bool) -> None:
    """With a TTL of 600 s, a key asked for less than once in that time is left alone."""
    assert pays(Policy(ttl_s=600.0, refresh=refresh), rate) is expected  # type: ignore[arg-type]


def test_missing_and_dying_entries_are_refreshed() -> None:
    """In the order of heat, as the keys came."""
    hot = {"healthy": 3.0, "dying": 2.0, "missing": 1.0}
    watched = watchlist()
    keys = watched.due(hot, 0.0)

    assert keys == list(hot)
    assert watched.near_end(keys, [500.0, MARGIN - 1, None], 0.0) == ["dying", "missing"]


def test_a_healthy_entry_is_looked_at_again_in_time() -> None:
    """When its margin begins, or after half a minute, as it may be evicted."""
    watched = watchlist()
    watched.near_end(watched.due({"long": 1.0, "short": 1.0}, 0.0), [500.0, MARGIN + 5], 0.0)

    assert watched.due({"long": 1.0, "short": 1.0}, 4.9) == []
    assert watched.due({"long": 1.0, "short": 1.0}, 5.1) == ["short"]
    assert watched.due({"long": 1.0, "short": 1.0}, LONGEST_TRUST_S) == ["long", "short"]


def test_what_was_asked_for_is_given_time() -> None:
    """A queue that is slow must not be filled with the same keys."""
    watched = watchlist()
    watched.due({"a": 1.0}, 0.0)
    watched.asked(["a"], 0.0)

    assert watched.due({"a": 1.0}, PATIENCE_S - 1) == []
    assert watched.due({"a": 1.0}, PATIENCE_S) == ["a"]


def test_a_short_lived_prediction_is_not_given_longer_than_it_lives() -> None:
    """Else it would expire while nobody looks."""
    watched = Watchlist(Policy(ttl_s=8.0, refresh="always"), look_every_s=0.2)
    watched.due({"a": 1.0}, 0.0)
    watched.asked(["a"], 0.0)

    assert watched.due({"a": 1.0}, 2.0) == ["a"]


def test_a_key_without_rows_is_asked_for_less_and_less() -> None:
    """Nothing ever comes of it, so it may cost little."""
    watched = watchlist()
    asked, now = [], 0.0
    while now < 5000.0:
        if watched.due({"a": 1.0}, now):
            watched.near_end(["a"], [None], now)
            watched.asked(["a"], now)
            asked.append(now)
        now += 2.0

    gaps = [b - a for a, b in pairwise(asked)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == MAX_PATIENCE_S


def test_what_there_was_no_room_for_stays_due() -> None:
    """Nothing is forgotten because a queue is full."""
    watched = watchlist()
    watched.near_end(watched.due({"a": 1.0}, 0.0), [None], 0.0)

    assert watched.due({"a": 1.0}, 2.0) == ["a"]


def test_keys_that_are_hot_no_more_are_forgotten() -> None:
    """Memory follows the hot set."""
    watched = watchlist()
    watched.near_end(watched.due({"a": 1.0}, 0.0), [500.0], 0.0)

    watched.due({"b": 1.0}, 1.0)

    assert watched.due({"a": 1.0}, 2.0) == ["a"]
