"""The number to rank by is found in a prediction, or it is said why there is none."""

from __future__ import annotations

import orjson
import pytest

from edge.scores import NoScore, Score
from precompute.errors import InvalidRequest
from precompute.outputs import OutputRule

RULES = (OutputRule("late", "y"), OutputRule("delay", "z"))


def _body(**outputs: object) -> bytes:
    return orjson.dumps({"model": "m", "outputs": outputs})


@pytest.mark.parametrize(
    ("pick", "value", "score"),
    [
        (None, 0.25, 0.25),
        (None, 7, 7),
        (None, True, True),
        (1, [0.1, 0.9], 0.9),
        ("b", {"a": 0.1, "b": 0.9}, 0.9),
        (1, {"0": 0.1, "1": 0.9}, 0.9),
    ],
)
def test_a_score_is_a_number_of_an_output(pick: str | int | None, value: object, score: float) -> None:
    """A plain one, or one of several by position or label."""
    assert Score("late", pick).of(_body(late=value, delay=None)) == score


@pytest.mark.parametrize(
    ("pick", "value", "complaint"),
    [
        (None, "red", "is a text"),
        (None, [0.1], "is a list; pick a position, 0 to 0"),
        (2, [0.1, 0.9], "pick a position, 0 to 1"),
        (-1, [0.1, 0.9], "pick a position, 0 to 1"),
        ("b", [0.1, 0.9], "pick a position, 0 to 1"),
        (0, [[0.1], [0.9]], "is a list, nothing to rank by"),
        (None, {"a": 0.1, "b": 0.2}, "pick one of: a, b"),
        ("c", {"a": 0.1, "b": 0.2}, "pick one of: a, b"),
        ("c", 0.5, "is a single value; leave out pick"),
    ],
)
def test_an_output_without_numbers_is_the_requests_mistake(
    pick: str | int | None, value: object, complaint: str
) -> None:
    """The message says what to send instead."""
    with pytest.raises(InvalidRequest, match=complaint):
        Score("late", pick).of(_body(late=value))


@pytest.mark.parametrize("outputs", [{"late": None}, {"delay": 1}])
def test_a_prediction_without_the_number_has_no_score(outputs: dict[str, object]) -> None:
    """NaN is null in JSON, and a default may leave an output out."""
    with pytest.raises(NoScore):
        Score("late").of(_body(**outputs))


def test_the_only_output_need_not_be_named() -> None:
    """There is nothing else that could be meant."""
    assert Score.among(RULES[:1], None, None) == Score("late")
    assert Score.among(RULES, "delay", 1) == Score("delay", 1)


@pytest.mark.parametrize(("output", "complaint"), [(None, "say which output"), ("soon", "no output 'soon'")])
def test_an_output_that_is_not_there_is_refused(output: str | None, complaint: str) -> None:
    """The message lists those that are."""
    with pytest.raises(InvalidRequest, match=rf"{complaint}.*late, delay"):
        Score.among(RULES, output, None)
