"""Which problems a door can answer with, as responses: the statuses are those that `edge.api.problems` gives."""

from __future__ import annotations

from collections import defaultdict

from edge.api.problems import PROBLEM_JSON, STATUSES
from edge.api.wire import reason
from edge.openapi.schemas import Schema, one_of, record, ref
from precompute import errors

#: What each problem means to whoever meets it.
MEANINGS = {
    "unknown-model": "the project has no such model",
    "unknown-job": "no such job is declared",
    "invalid-key": "the key does not have the model's shape",
    "invalid-context": "a request-time feature is missing, mistyped, out of range or unknown",
    "feature-missing": "a row, field or number that the model cannot do without is missing",
    "unknown-version": "no such version is ready on this node",
    "withdrawn": "somebody has taken the model out of this node's service",
    "nothing-published": "no version of this variant has been published yet",
    "no-admin-token": "this edge changes nothing over HTTP",
    "wrong-token": "the admin token is missing or another one",
    "body-too-large": "the body exceeds the limit",
    "unknown-encoding": "a body may be gzip, deflate or neither",
    "invalid-request": "the request makes no sense, whatever the data",
    "cannot-compute": "the model cannot be computed for this",
    "overloaded": "a bounded queue is full; ask again after `Retry-After`",
    "model-unavailable": "it fails and is out for a while",
    "budget-exceeded": "no answer within the budget",
    "unavailable": "a server behind this edge does not answer; ask again after `Retry-After`",
}
#: Refused before any door is reached.
BEFORE = {414: "the path and query are too long", 431: "the headers are too long"}
_WAIT = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}


def name_of(kind: type[Exception]) -> tuple[int, str]:
    """The status and the name that an error of this kind is answered with."""
    return next((status, name) for known, status, name in STATUSES if issubclass(kind, known))


def responses(*kinds: type[Exception]) -> dict[str, Schema]:
    """Responses by status, for a door where these errors can occur, and for what no door can keep away."""
    found = {
        str(status): _response(status, names, status in _waiting(kinds)) for status, names in _names(kinds).items()
    }
    return found | {str(status): _bare(status, meaning) for status, meaning in BEFORE.items()}


def plain_responses(error: Schema, *kinds: type[Exception]) -> dict[str, Schema]:
    """As `responses`, where `error` is the schema of whatever went wrong."""
    content = {"application/json": {"schema": error}}
    found = {
        str(status): {"description": _told(status, names), "content": content}
        | ({"headers": _WAIT} if status in _waiting(kinds) else {})
        for status, names in _names(kinds).items()
    }
    before = {
        str(status): {"description": f"{reason(status)}: {meaning}", "content": content}
        for status, meaning in BEFORE.items()
    }
    return found | before


def _names(kinds: tuple[type[Exception], ...]) -> dict[int, list[str]]:
    names: dict[int, list[str]] = defaultdict(list)
    for status, name in dict.fromkeys(map(name_of, kinds)):
        names[status].append(name)
    return names


def _waiting(kinds: tuple[type[Exception], ...]) -> set[int]:
    """Statuses that come with word of when to come back."""
    return {name_of(kind)[0] for kind in kinds if issubclass(kind, errors.TransientError | errors.VersionMissing)}


def _told(status: int, names: list[str]) -> str:
    return "\n".join([f"{reason(status)}\n", *(f"- `{name}`: {MEANINGS[name]}" for name in names)])


def _response(status: int, names: list[str], waiting: bool) -> Schema:
    types = one_of([f"urn:nearcast:problem:{name}" for name in names])
    response = _problem(_told(status, names), status, types)
    return response | ({"headers": _WAIT} if waiting else {})


def _bare(status: int, meaning: str) -> Schema:
    return _problem(f"{reason(status)}: {meaning}", status, {"const": "about:blank"})


def _problem(description: str, status: int, kind: Schema) -> Schema:
    narrowed = record({"type": kind, "status": {"const": status}})
    schema = {"allOf": [ref("Problem"), narrowed]}
    return {"description": description, "content": {PROBLEM_JSON.decode(): {"schema": schema}}}
