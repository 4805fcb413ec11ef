"""Calls become the requests that an edge understands."""

from __future__ import annotations

import msgspec

from edge.client import calls
from edge.client.calls import By


def test_one_key_is_a_get_that_memory_can_answer() -> None:
    """Without a budget: one in the query would take the long way."""
    call = calls.predict("late", ("UA 1", "EWR"), {"hour": 3}, "fast")

    assert (call.method, call.target) == ("GET", "/v1/predict/late/UA~201:EWR?hour=3&variant=fast")
    assert call.content() is None


def test_a_deadline_becomes_a_budget() -> None:
    """In the query of a GET, in the body of a POST, and never more than an edge allows."""
    one = calls.predict("late", "a:b", None, None).within(0.0505)
    many = calls.predict_many("late", ["a:b"], None, None).within(1e6)

    assert one.target == "/v1/predict/late/a:b?budget_ms=50.5"
    assert msgspec.json.decode(many.content() or b"")["budget_ms"] == 60_000


def test_what_takes_no_budget_is_given_none() -> None:
    """`why` and the models are told nothing."""
    assert calls.why("late", "a:b", None, None).within(1).target == "/v1/why/late/a:b"
    assert calls.models().within(1).target == "/v1/models"
    assert calls.model("late").within(1).target == "/v1/models/late"


def test_a_name_stays_in_its_segment() -> None:
    """A model that nobody has declared is told to the edge as it is."""
    assert calls.predict("../livez", "a", None, None).path == "/v1/predict/..%2Flivez/a"


def test_a_ranking_is_asked_for_with_columns() -> None:
    """What differs beside what is shared."""
    call = calls.rank("liking", {"item": ("a", "b")}, {"user": "u"}, {"hour": 3}, None, By(k=1, output="y"))

    assert (call.method, call.path) == ("POST", "/v1/rank/liking")
    assert msgspec.json.decode(call.content() or b"") == {
        "candidates": {"item": ["a", "b"]},
        "key": {"user": "u"},
        "context": {"hour": 3},
        "k": 1,
        "output": "y",
        "pick": None,
        "order": "descending",
    }
