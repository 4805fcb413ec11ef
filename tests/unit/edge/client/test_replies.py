"""Responses become answers or errors; what no edge says is neither."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from edge.api.problems import STATUSES
from edge.client import errors, replies
from edge.client.errors import NotUnderstood, ProblemError
from edge.client.replies import Reply
from edge.contract.answers import Answer, Failure, Part

BODY = (
    b'{"model":"late","version":3,"variant":"default","key":"a:b?hour=3","outputs":{"y":0.25},'
    b'"as_of":"2026-01-02T03:04:05.678Z","computed_at":"2026-01-02T03:04:06.000Z"}'
)
STALE = BODY[:-1] + b',"stale":true}'


#: Of doors that the client does not ask at.
OTHERS = {"unknown-job", "unknown-version", "no-admin-token", "wrong-token"}


def _problem(status: int, name: str, **more: object) -> Reply:
    document = {"type": f"urn:nearcast:problem:{name}", "title": "T", "status": status, "detail": "why", **more}
    return Reply(status, {"content-type": "application/problem+json"}, msgspec.json.encode(document))


def _error(reply: Reply) -> ProblemError:
    found = replies.error_of(reply)
    assert isinstance(found, ProblemError)
    return found


def test_an_answer_is_body_and_headers() -> None:
    """The prediction, the tier that gave it, and its age."""
    found = replies.read_answer(Reply(200, {"server-timing": "memory;dur=0.012", "age": "7"}, BODY))

    assert (found.tier, found.age_s, found.stale, found.key) == ("memory", 7, False, "a:b?hour=3")
    assert found.outputs == {"y": 0.25}
    assert found.prediction.as_of == datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)
    assert found.over_budget is False


def test_what_is_not_fresh_says_so() -> None:
    """And so does what was expected to be late."""
    headers = {"server-timing": "stale;dur=1", "nearcast-variant": "fast;tier=live;budget=1.0;p95=2.0;over"}
    found = replies.read_answer(Reply(200, headers, STALE))

    assert (found.tier, found.stale, found.over_budget) == ("stale", True, True)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", None),
        ("price=new", Part(name="price", arm="new")),
        ("price=new;override", Part(name="price", arm="new", override=True)),
    ],
)
def test_an_answer_says_its_part_in_an_experiment(text: str, part: Part | None) -> None:
    """If it has one."""
    headers = {"server-timing": "live;dur=1", "nearcast-experiment": text}

    assert replies.read_answer(Reply(200, headers, BODY)).experiment == part


def test_each_key_of_many_is_an_answer_or_a_failure() -> None:
    """In the order of the request."""
    problem = b'{"type":"urn:nearcast:problem:invalid-key","title":"Not Found","status":404,"detail":"d"}'
    body = b'{"model":"late","predictions":[{"status":200,"tier":"live","age_s":0,"prediction":%b},%b]}' % (
        BODY,
        b'{"status":404,"key":{"flight":"a"},"problem":%b}' % problem,
    )

    good, bad = replies.read_many(Reply(200, {}, body))

    assert isinstance(good, Answer)
    assert good.tier == "live"
    assert isinstance(bad, Failure)
    assert (bad.status, bad.key, bad.problem.name) == (404, {"flight": "a"}, "invalid-key")


@pytest.mark.parametrize(("status", "name"), [(status, name) for _, status, name in STATUSES])
def test_every_problem_of_an_edge_has_an_error(status: int, name: str) -> None:
    """By its type; only those of doors that the client has not are told by the general one."""
    found = _error(_problem(status, name))

    assert found.problem.name == name
    assert (type(found) is ProblemError) == (name in OTHERS)


def test_a_missing_feature_names_its_row() -> None:
    """For programs."""
    found = _error(_problem(422, "feature-missing", view="flight", entity="F1", field="distance"))

    assert isinstance(found, errors.FeatureMissing)
    assert (found.problem.view, found.problem.entity, found.problem.field) == ("flight", "F1", "distance")
    assert str(found) == "422 feature-missing: why"


def test_a_refusal_may_say_when_to_come_back() -> None:
    """In seconds; a date is none of ours."""
    after = _problem(503, "overloaded")
    told = Reply(503, {**after.headers, "retry-after": "2"}, after.body)
    dated = Reply(503, {**after.headers, "retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, after.body)

    assert (_error(told).retry_after_s, _error(dated).retry_after_s) == (2.0, None)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize("kind", ["text/html", "application/problem+json"])
def test_what_a_balancer_says_is_told_by_its_status(status: int, kind: str) -> None:
    """Whatever it sends with it."""
    assert isinstance(_error(Reply(status, {"content-type": kind}, b"<html>")), errors.Unavailable)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, {}, BODY),
        Reply(200, {"server-timing": "cache;dur=1"}, BODY),
        Reply(200, {"server-timing": "live;dur=1"}, b"<html>"),
        Reply(200, {"server-timing": "live;dur=1"}, b'{"model": "late"}'),
    ],
)
def test_an_answer_of_somebody_else_is_not_understood(reply: Reply) -> None:
    """A wrong address must not look like a prediction."""
    with pytest.raises(NotUnderstood):
        replies.read_answer(reply)
