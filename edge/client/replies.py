"""From HTTP responses to typed answers, or to the error that they mean. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar, get_args

import msgspec

from edge.client.errors import ClientError, NotUnderstood, problem_error
from edge.contract.answers import Answer, Failure, Part, Prediction, Problem, Ranking, Tier
from edge.contract.models import Model, ModelDetails, Models

T = TypeVar("T")
_TIERS: Mapping[str, Tier] = {tier: tier for tier in get_args(Tier)}


class Reply(msgspec.Struct, frozen=True):
    """One response; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Item(msgspec.Struct):
    """One key of many, whatever has become of it."""

    status: int


class _Many(msgspec.Struct):
    predictions: list[msgspec.Raw]


def error_of(reply: Reply) -> ClientError | None:
    """What a response means if it is no answer."""
    if reply.status < 300:
        return None
    after = reply.headers.get("retry-after", "")
    return problem_error(_problem(reply), float(after) if after.isdecimal() else None)


def _problem(reply: Reply) -> Problem:
    if reply.headers.get("content-type", "").startswith("application/problem+json"):
        try:
            return msgspec.json.decode(reply.body, type=Problem)
        except msgspec.MsgspecError:
            pass  # Some proxy's, in another form: its status says enough.
    title = HTTPStatus(reply.status).phrase if reply.status in set(HTTPStatus) else "unknown status"
    return Problem(type="about:blank", title=title, status=reply.status)


def read_answer(reply: Reply) -> Answer:
    """The answer to one key."""
    named = reply.headers.get("server-timing", "").partition(";")[0]
    tier = _TIERS.get(named)
    if tier is None:
        raise NotUnderstood(f"no tier in Server-Timing: {named!r:.80}; is this an edge?")
    age = reply.headers.get("age", "0")
    return Answer(
        tier=tier,
        age_s=int(age) if age.isdecimal() else 0,
        prediction=_decoded(reply.body, Prediction),
        over_budget=reply.headers.get("nearcast-variant", "").endswith(";over"),
        experiment=_part(reply.headers.get("nearcast-experiment", "")),
    )


def _part(text: str) -> Part | None:
    """`NAME=ARM`, and `;override` behind it."""
    name, known, rest = text.partition("=")
    arm, *marks = rest.split(";")
    return Part(name=name, arm=arm, override="override" in marks) if known else None


def read_many(reply: Reply) -> list[Answer | Failure]:
    """An answer or a failure for each key."""
    items = _decoded(reply.body, _Many).predictions
    return [_decoded(raw, Answer) if _decoded(raw, _Item).status == 200 else _decoded(raw, Failure) for raw in items]


def read_ranking(reply: Reply) -> Ranking:
    """The best of some candidates."""
    return _decoded(reply.body, Ranking)


def read_explanation(reply: Reply) -> dict[str, Any]:
    """Why a key is answered as it is."""
    return _decoded(reply.body, dict[str, Any])


def read_models(reply: Reply) -> list[Model]:
    """All models."""
    return _decoded(reply.body, Models).models


def read_model(reply: Reply) -> ModelDetails:
    """One model."""
    return _decoded(reply.body, ModelDetails)


def _decoded(body: bytes | msgspec.Raw, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotUnderstood(f"this is not what an edge answers: {error}") from error
