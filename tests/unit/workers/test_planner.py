"""Which keys are worth refreshing."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from workers.planner import Candidate, Rule, affordable, choose, worth

RULE = Rule()
_RATE = st.floats(0.0, 1000.0, allow_nan=False, allow_subnormal=False)
_CANDIDATES = st.lists(st.tuples(_RATE, _RATE), max_size=60).map(
    lambda rates: [Candidate(f"k{i}", r, c) for i, (r, c) in enumerate(rates)]
)
_COST = st.floats(0.0, 1.0)


def total(candidates: list[Candidate]) -> float:
    """Rows per second of refreshing all of these."""
    return math.fsum(c.changes_per_s for c in candidates)


@given(_CANDIDATES, _COST)
def test_never_more_than_half_of_the_rows_are_spent(candidates: list[Candidate], row_s: float) -> None:
    """Whatever the rates."""
    assert choose(candidates, RULE, row_s).rows_per_s <= total(candidates) / 2


@given(_CANDIDATES, _COST)
def test_no_row_is_spent_on_a_key_that_is_hardly_asked_for(candidates: list[Candidate], row_s: float) -> None:
    """A dear model has to be surer of its requests than a cheap one."""
    pushed = choose(candidates, RULE, row_s).pushed

    assert all(c.chance >= max(RULE.least_chance, row_s / (RULE.miss_s + row_s)) for c in pushed)


@given(_CANDIDATES)
def test_outside_the_core_nothing_is_pushed_before_what_earns_more(candidates: list[Candidate]) -> None:
    """A key that is left out earns no more than any that is not."""
    choice = choose(candidates, Rule(core_share=0.0))
    names = {c.key for c in choice.pushed}
    left_out = [c.chance for c in candidates if c.key not in names]

    assert all(c.chance >= max(left_out, default=0.0) for c in choice.pushed)


@given(_CANDIDATES)
def test_it_stops_for_a_reason(candidates: list[Candidate]) -> None:
    """Little is lost, or no worthwhile key is left, or the next one would cost more than half of all rows."""
    choice = choose(candidates, RULE)
    names = {c.key for c in choice.pushed}
    others = [c for c in candidates if c.key not in names and c.chance >= RULE.least_chance]
    requests = sum(c.requests_per_s for c in candidates)
    spent = RULE.most_rows * total(candidates) - choice.rows_per_s

    little = choice.lost_per_s <= RULE.tolerated_loss * requests * (1 + 1e-9) + 1e-9
    assert little or not others or any(c.changes_per_s > spent - 1e-9 for c in others)


@given(_CANDIDATES)
def test_keys_are_chosen_once_and_from_what_is_hot(candidates: list[Candidate]) -> None:
    """In whatever order they come."""
    choice = choose(candidates, RULE)

    assert len({c.key for c in choice.pushed}) == len(choice.pushed)
    assert set(choice.pushed) <= set(candidates)
    assert {c.key for c in choose(candidates[::-1], RULE).pushed if candidates} <= {c.key for c in candidates}


def test_where_changes_outrun_requests_nothing_is_spent() -> None:
    """Rows would be computed for nobody."""
    candidates = [Candidate(f"k{i}", 0.01, 1.0) for i in range(100)]

    assert choose(candidates, RULE).pushed == []


def test_where_hardly_anything_changes_only_the_hottest_are_refreshed() -> None:
    """Nobody waits for those; of the others so few are missed that it does not matter."""
    candidates = [Candidate(f"k{i}", 100.0 / (i + 1), 0.001) for i in range(100)]

    pushed = choose(candidates, RULE).pushed

    assert pushed == candidates[: len(pushed)]
    assert 0 < len(pushed) < 10


def test_the_better_half_is_refreshed_where_it_matters() -> None:
    """Popular keys earn their rows; the others come only after them."""
    hot = [Candidate(f"hot{i}", 1.0, 0.2) for i in range(40)]
    cold = [Candidate(f"cold{i}", 0.05, 0.2) for i in range(60)]

    pushed = choose(cold + hot, RULE).pushed

    assert pushed[:40] == hot
    assert len(pushed) <= 50


def test_a_second_of_a_cheap_model_earns_more() -> None:
    """So it comes first when there is not enough for all."""
    candidate = Candidate("k", 1.0, 1.0)

    assert worth(candidate, RULE, 10e-6) > 10 * worth(candidate, RULE, 1e-3) > worth(candidate, RULE, 10e-3)


@given(st.lists(st.tuples(_RATE, _RATE), unique_by=lambda offer: offer[0], max_size=40), st.floats(0.0, 5000.0))
def test_a_budget_is_kept_from_the_best_down(offers: list[tuple[float, float]], budget: float) -> None:
    """What is worth at least the answer fits."""
    least = affordable(offers, budget)

    assert math.fsum(rows for worth_of, rows in offers if worth_of >= least) <= budget + 1e-6
