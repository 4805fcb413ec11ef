"""Candidates are put in order, and those without a place are named."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.ask import Answer
from edge.ranking import Order, Ranking
from edge.scores import Score
from edge.stats import Tier
from precompute.errors import FeatureMissing, InvalidKey, InvalidRequest, NearcastError, Overloaded
from precompute.models import Key

LATE = Score("late")


def _answer(late: object) -> Answer:
    return Answer(orjson.dumps({"outputs": {"late": late}}), Tier.LIVE, "", None, 0, 1)


def _ranking(names: list[str]) -> Ranking:
    return Ranking({"item": names}, [Key(f"u:{name}", ("u", name)) for name in names])


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=30),
    st.integers(1, 40),
    st.sampled_from(["descending", "ascending"]),
)
def test_the_best_come_first_and_equals_keep_their_order(scores: list[int], k: int, order: Order) -> None:
    """As a stable sort of all of them would have it, cut off behind the first k."""
    ranking = _ranking([f"i{n}" for n in range(len(scores))])

    found = ranking.best({i: _answer(score) for i, score in enumerate(scores)}, LATE, k, order)

    expected = sorted(range(len(scores)), key=lambda i: -scores[i] if order == "descending" else scores[i])[:k]
    assert [one.position for one in found] == expected
    assert [one.score for one in found] == [scores[i] for i in expected]


def test_a_candidate_is_shown_as_it_was_asked_for() -> None:
    """All its columns, with the values that the client knows."""
    ranking = Ranking({"item": ["i", "j"], "price": [1, 2.5]}, [Key("a", ("a",)), Key("b", ("b",))])

    assert ranking.candidate(1) == {"item": "j", "price": 2.5}


def test_a_candidate_that_comes_again_is_ranked_once() -> None:
    """By its key: two spellings of one are one."""
    ranking = _ranking(["i", "j", "i", "i"])

    assert (list(ranking.keys), ranking.duplicates, ranking.size) == ([0, 1], 2, 4)


def test_a_candidate_without_a_number_is_named() -> None:
    """The others are ranked all the same."""
    ranking = _ranking(["i", "j"])

    found = ranking.best({0: _answer(None), 1: _answer(0.5)}, LATE, 10, "descending")

    assert [one.position for one in found] == [1]
    assert "not a finite number" in str(ranking.failed[0])


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ([InvalidKey("empty"), FeatureMissing("user", "u")], InvalidKey),
        ([InvalidKey("empty"), Overloaded("full")], Overloaded),
    ],
)
def test_without_any_candidate_the_reason_is_the_answer(errors: list[NearcastError], told: type[NearcastError]) -> None:
    """One that may pass, where there is one: then it is worth asking again."""
    ranking = _ranking(["i", "j"])
    ranking.failed = dict(enumerate(errors))

    with pytest.raises(told):
        ranking.best({}, LATE, 10, "descending")


def test_an_output_that_cannot_be_ranked_by_is_the_requests_mistake() -> None:
    """It is not the candidates' fault."""
    with pytest.raises(InvalidRequest):
        _ranking(["i"]).best({0: _answer("red")}, LATE, 10, "descending")
