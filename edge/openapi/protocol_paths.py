"""The doors of the Open Inference Protocol, as its code lists them, with errors as its clients read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge.api.authority import NoAuthority, WrongToken
from edge.api.oip.reply import NotReady
from edge.api.oip.shapes import DOORS, Door, ErrorBody, InferRequest, InferResponse, Instances, ModelState
from edge.api.wire import BodyTooLarge, UnknownEncoding
from edge.openapi.described import Described
from edge.openapi.problems import plain_responses
from edge.openapi.schemas import Schema, of_types, ref
from precompute import errors

PROTOCOL = "open inference"
ABOUT = 'The Open Inference Protocol, for clients that speak it. Errors are `{"error": "text"}`.'
#: Keeps its names apart from ours.
_PREFIX = "v2."
_OCTETS = "application/octet-stream"
_LENGTH = "Inference-Header-Content-Length"

_NAMED = (errors.InvalidRequest, errors.UnknownModel, errors.UnknownVersion, errors.VersionMissing, errors.Withdrawn)
_SENT = (errors.InvalidRequest, BodyTooLarge, UnknownEncoding)
_COMPUTED = (
    errors.InvalidKey,
    errors.InvalidContext,
    errors.FeatureMissing,
    errors.PermanentError,
    errors.Overloaded,
    errors.ModelUnavailable,
    errors.TransientError,
    errors.DeadlineExceeded,
)
_MOVED = (NoAuthority, WrongToken, errors.PermanentError, errors.TransientError, errors.DeadlineExceeded)


def protocol_paths(models: Sequence[Described]) -> dict[str, Schema]:
    """All of its paths; the models are examples."""
    paths: dict[str, Schema] = {}
    for door in DOORS:
        paths.setdefault(door.path, {})[door.method.lower()] = _operation(door, models)
    return paths


def protocol_schemas() -> dict[str, Schema]:
    """Schemas that only these paths use."""
    kinds = [kind for door in DOORS for kind in (door.request, door.response) if kind is not None]
    return of_types([*kinds, ErrorBody], _PREFIX)


def _operation(door: Door, models: Sequence[Described]) -> Schema:
    operation: dict[str, Any] = {
        "operationId": _name(door),
        "tags": [PROTOCOL],
        "summary": door.summary,
        "parameters": [_parameter(name, models) for name in ("model", "version") if f"{{{name}}}" in door.path],
        "responses": {"200": _answer(door), **plain_responses(ref(f"{_PREFIX}ErrorBody"), *_errors(door))},
    }
    if door.request is not None:
        operation["requestBody"] = _body(door, models)
    return operation | ({"security": [{"admin": []}]} if door.admin else {})


def _name(door: Door) -> str:
    """One for each path, in words that may stand in a program."""
    words = [word.strip("{}") for word in door.path.replace(":", "/").split("/") if word]
    return f"{door.method.lower()}_{'_'.join(words)}"


def _parameter(name: str, models: Sequence[Described]) -> Schema:
    known = [described.name for described in models] if name == "model" else ["1"]
    examples = {"examples": {text: {"value": text} for text in known}} if known else {}
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}, **examples}


def _errors(door: Door) -> list[type[Exception]]:
    """Those that can occur: which model, what was sent, what is computed, and what is moved."""
    kinds: list[type[Exception]] = []
    if "{model}" in door.path:
        kinds += _NAMED
    if door.request is not None:
        kinds += _SENT
    if door.path.endswith(("/infer", ":predict")):
        kinds += _COMPUTED
    if door.admin:
        kinds += _MOVED
    if door.path.endswith("/health/ready"):
        kinds.append(NotReady)
    return kinds


def _answer(door: Door) -> Schema:
    schema: Schema = {"type": "object"}
    if door.response == list[ModelState]:
        schema = {"type": "array", "items": ref(f"{_PREFIX}ModelState")}
    elif door.response is not None:
        schema = ref(f"{_PREFIX}{door.response.__name__}")
    content: dict[str, Schema] = {"application/json": {"schema": schema}}
    answer: Schema = {"description": "", "content": content}
    if door.response is InferResponse:
        content[_OCTETS] = {"schema": {"type": "string", "format": "binary"}}
        what = "Of binary answers: how long the JSON is that the tensors follow."
        answer["headers"] = {_LENGTH: {"description": what, "schema": {"type": "integer"}}}
    return answer


def _body(door: Door, models: Sequence[Described]) -> Schema:
    media: dict[str, Any] = {"schema": ref(f"{_PREFIX}{door.request.__name__}")} if door.request else {}
    key = next((described.keys[0].text for described in models if described.keys), None)
    if door.request is InferRequest and key is not None:
        media["examples"] = {"by key": {"value": {"parameters": {"key": key}}}}
    # What has nothing to say may be left out; tensors and rows may not.
    return {"required": door.request in (InferRequest, Instances), "content": {"application/json": media}}
