"""What requests and answers say of experiments."""

from __future__ import annotations

import orjson

from edge.api.arms import experiment_headers, experiment_member, query_of, split_query
from tests.unit.edge.test_exposures import assigned


def test_parameters_of_testers_are_no_context() -> None:
    """Everything else is."""
    given = {"hour": "3", "arm": "b"}

    assert split_query(given, {"arm", "other"}) == ({"hour": "3"}, {"arm": "b"})
    assert split_query(given, ()) == (given, {})
    assert split_query({"hour": "3"}, {"arm"}) == ({"hour": "3"}, {})


def test_a_body_may_come_with_parameters_of_testers() -> None:
    """Others in the query mean nothing there."""
    scope = {"query_string": b"arm=b&hour=3"}

    assert query_of(scope, {"arm"}) == {"arm": "b"}
    assert query_of(scope, ()) == {}
    assert query_of({"query_string": b""}, {"arm"}) == {}


def test_an_answer_says_which_arm_it_is_of_and_what_it_depends_on() -> None:
    """As a structured field, and for caches."""
    assert experiment_headers(assigned(), ()) == [(b"nearcast-experiment", b"x=a")]
    assert experiment_headers(assigned(override=True), ("x-arm", "x-user")) == [
        (b"vary", b"x-arm, x-user"),
        (b"nearcast-experiment", b"x=a;override"),
    ]
    assert experiment_headers(None, ("x-user",)) == [(b"vary", b"x-user")]
    assert experiment_headers(None, ()) == []


def test_so_does_each_answer_of_many() -> None:
    """Inside of its object."""

    def member(part: bytes) -> object:
        return orjson.loads(b"{%b" % part + b'"prediction":1}')

    assert member(experiment_member(None)) == {"prediction": 1}
    assert member(experiment_member(assigned(arm=1))) == {"experiment": {"name": "x", "arm": "b"}, "prediction": 1}
    override = {"name": "x", "arm": "a", "override": True}
    assert member(experiment_member(assigned(override=True))) == {"experiment": override, "prediction": 1}
