"""What a hot key's score is worth."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from precompute.hot_counter import Window
from precompute.hotkeys import HotState, MergeRule
from workers.request_rates import RequestRates

HALF_LIFE_S = 600.0
FLUSH_MS = 5000
ONCE = math.log(2) / HALF_LIFE_S


def learn(windows: list[list[str]]) -> tuple[RequestRates, dict[str, float]]:
    """After these windows; what has been learnt, and the scores."""
    rule = MergeRule(half_life_s=HALF_LIFE_S, keep=10_000)
    rates, scores, state = RequestRates(HALF_LIFE_S), dict[str, float](), HotState()
    for number, keys in enumerate(windows):
        window = Window(dict(Counter(keys)), len(keys), 0)
        merged = rule.merged(scores, state, [window], number * FLUSH_MS)
        scores, state = merged.rates, merged.state
        rates.observe(scores, state.merged_ms)
    return rates, scores


def test_a_key_asked_for_steadily_is_taken_at_its_score() -> None:
    """A score converges to the rate, and its promise is kept."""
    rng = random.Random(1)
    rates, _ = learn([["a"] * (rng.random() < 0.5) for _ in range(1000)])

    assert rates.per_s("a") == pytest.approx(0.1, rel=0.25)


def test_keys_that_nobody_asks_for_again_are_seen_through() -> None:
    """Each looks as if it came every quarter of an hour; none ever does."""
    rates, scores = learn([[f"once-{number}-{i}" for i in range(20)] for number in range(200)])
    newest = "once-199-0"

    assert scores[newest] == pytest.approx(ONCE)
    assert rates.per_s(newest) < ONCE / 10


def test_a_key_out_of_fashion_is_seen_through() -> None:
    """Its score is still that of a popular key, but it has promised much and kept nothing."""
    windows = []
    for number in range(400):
        fashion = number // 20
        windows.append([f"fashion-{fashion}-{i}" for i in range(5)])
    rates, scores = learn(windows)
    old, new = "fashion-18-0", "fashion-19-0"

    assert scores[old] > scores[new] / 1.3
    assert rates.per_s(old) < rates.per_s(new) / 20


def test_before_anything_is_known_a_single_request_counts_for_half() -> None:
    """And many for nearly all they are."""
    rates = RequestRates(HALF_LIFE_S)
    rates.observe({"once": ONCE, "often": 100 * ONCE}, 1)

    assert rates.per_s("once") == pytest.approx(ONCE / 2, rel=0.3)
    assert rates.per_s("often") == pytest.approx(100 * ONCE, rel=0.05)


def test_the_same_merge_twice_teaches_nothing() -> None:
    """Refreshers look more often than the scheduler merges."""
    rates, scores = learn([["a"], ["a"], []])
    before = rates.per_s("a")

    rates.observe(scores, 2 * FLUSH_MS)

    assert rates.per_s("a") == before


def test_another_history_is_taken_up() -> None:
    """After a failover or an emptied server the time of the last merge may be lower."""
    rates, _ = learn([["a"], ["a"]])

    rates.observe({"b": 1.0}, 1)

    assert rates.per_s("a") == 0.0
    assert rates.per_s("b") > 0.5
