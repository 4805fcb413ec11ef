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
_BEFORE = {414: "the path and query are too long", 431: "the headers are too long"}
_WAIT = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}


def name_of(kind: type[Exception]) -> tuple[int, str]:
    """The status and the name that an error of this kind is answered with."""
    return next((status, name) for known, status, name in STATUSES if issubclass(kind, known))


def responses(*kinds: type[Exception]) -> dict[str, Schema]:
    """Responses by status, for a door where these errors can occur, and for what no door can keep away."""
    names: dict[int, list[str]] = defaultdict(list)
    for status, name in dict.fromkeys(map(name_of, kinds)):
        names[status].append(name)
    waiting = {name_of(kind)[0] for kind in kinds if issubclass(kind, errors.TransientError | errors.VersionMissing)}
    found = {str(status): _response(status, these, status in waiting) for status, these in names.items()}
    return found | {str(status): _bare(status, meaning) for status, meaning in _BEFORE.items()}


def _response(status: int, names: list[str], waiting: bool) -> Schema:
    types = one_of([f"urn:nearcast:problem:{name}" for name in names])
    told = "\n".join(f"- `{name}`: {MEANINGS[name]}" for name in names)
    response = _problem(f"{reason(status)}\n\n{told}", status, types)
    return response | ({"headers": _WAIT} if waiting else {})


def _bare(status: int, meaning: str) -> Schema:
    return _problem(f"{reason(status)}: {meaning}", status, {"const": "about:blank"})


def _problem(description: str, status: int, kind: Schema) -> Schema:
    narrowed = record({"type": kind, "status": {"const": status}})
    schema = {"allOf": [ref("Problem"), narrowed]}
    return {"description": description, "content": {PROBLEM_JSON.decode(): {"schema": schema}}}
