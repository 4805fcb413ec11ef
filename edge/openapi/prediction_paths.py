"""The doors of one model, with its key, its context and its outputs as the project declares them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from edge.api.predict import PREFIX, ManyRequest
from edge.api.rank import RANK, RankRequest
from edge.api.why import WHY
from edge.api.wire import BodyTooLarge
from edge.openapi.described import Described, entity
from edge.openapi.problems import responses
from edge.openapi.schemas import Schema, of_types, one_of, ref
from precompute import errors

_ASKING = (errors.InvalidRequest, errors.InvalidContext, errors.UnknownModel, errors.InvalidKey)
_SERVING = (errors.VersionMissing, errors.Withdrawn, errors.ModelUnavailable)
_COMPUTING = (errors.FeatureMissing, errors.PermanentError, errors.Overloaded)
_WAITING = (errors.TransientError, errors.DeadlineExceeded)
#: What each door can answer with instead, for every model.
_INSTEAD = {
    "predict": responses(*_ASKING, *_SERVING, *_COMPUTING, *_WAITING),
    "predict_many": responses(
        errors.InvalidRequest, errors.UnknownModel, *_SERVING, errors.TransientError, BodyTooLarge
    ),
    "rank": responses(*_ASKING, *_SERVING, *_COMPUTING, *_WAITING, BodyTooLarge),
    "why": responses(*_ASKING, *_SERVING, errors.TransientError),
}

#: Found out once, because it takes a millisecond, and there may be hundreds of models.
_BODIES = of_types([ManyRequest, RankRequest])
_TEXT: Schema = {"schema": {"type": "string"}}
_ANSWER_HEADERS: Schema = {
    "Cache-Status": {"description": "Which tiers were asked (RFC 9211).", **_TEXT},
    "Age": {"description": "Seconds since it was computed.", "schema": {"type": "integer"}},
    "ETag": {"description": "Of fresh answers; for `If-None-Match`.", **_TEXT},
    "Cache-Control": {"description": "What caches in between may do with it.", **_TEXT},
    "Surrogate-Key": {"description": "The features that it depends on, for caches that are told of changes.", **_TEXT},
    "Nearcast-Variant": {"description": "Of `auto`: which variant was chosen, and by what.", **_TEXT},
    "Nearcast-Experiment": {"description": "`NAME=ARM` of an experiment that decided about the variant.", **_TEXT},
    "Vary": {"description": "Request headers that decide about the variant, too.", **_TEXT},
    "Server-Timing": {"description": "The tier that answered, and how long it took.", **_TEXT},
}
_BUDGET: Schema = {
    "type": "number",
    "exclusiveMinimum": 0,
    "maximum": 60_000,
    "description": "How long the answer may take, ms; what takes longer is answered from what there is, or not at all.",
}


def shared_responses() -> dict[str, Schema]:
    """Responses that all models' paths refer to: most of what a model would take."""
    return {f"{door}.{status}": told for door, instead in _INSTEAD.items() for status, told in instead.items()}


def _instead(door: str) -> dict[str, Schema]:
    return {status: {"$ref": f"#/components/responses/{door}.{status}"} for status in _INSTEAD[door]}


def model_paths(described: Described, max_keys: int) -> dict[str, Schema]:
    """Paths of one model; `max_keys` are allowed in one request."""
    name = described.name
    return {
        f"{PREFIX}{name}/{{key}}": {"get": _one(described)},
        f"{PREFIX}{name}": {"post": _many(described, max_keys)},
        f"{RANK}{name}": {"post": _rank(described, max_keys)},
        f"{WHY}{name}/{{key}}": {"get": _why(described)},
    }


def model_schemas(described: Described) -> dict[str, Schema]:
    """Schemas that only these paths use."""
    model, name = described.model, described.name
    what = f"The key of `{name}`: `{model.shape()}`. Bytes that would confuse a URL are written `~XX` (hex)."
    return {
        f"{name}.key": described.key() | {"description": what},
        f"{name}.parts": described.parts() | {"description": f"The key of `{name}` in raw parts, without escapes."},
        f"{name}.context": described.context() | {"description": f"Request-time features of `{name}`."},
        f"{name}.variant": described.variant(),
        f"{name}.prediction": {"allOf": [ref("Prediction"), described.prediction()]},
    }


def _operation(described: Described, verb: str, summary: str, description: str, **more: object) -> Schema:
    head = {"operationId": f"{verb}_{described.name}", "tags": [described.name], "summary": summary}
    return {**head, "description": description, **more}


def _one(described: Described) -> Schema:
    return _operation(
        described,
        "predict",
        "One prediction",
        "From the nearest tier that has it fresh, else computed now. HEAD gives the same headers.",
        parameters=[
            *_parameters(described),
            _query("budget_ms", _BUDGET),
            _header("Cache-Control", "`no-cache` computes anew, whatever memory has."),
            _header("If-None-Match", "ETags of what the client has."),
            *_user_tier(described),
        ],
        responses={
            "200": _json(ref(f"{described.name}.prediction"), "The prediction.", headers=_ANSWER_HEADERS),
            "304": {"description": "The client has it already.", "headers": _ANSWER_HEADERS},
            **_instead("predict"),
        },
    )


def _many(described: Described, max_keys: int) -> Schema:
    name = described.name
    key = {"anyOf": [ref(f"{name}.key"), ref(f"{name}.parts")]}
    long = _members(_BODIES["AskedKey"], {"key": key, "context": ref(f"{name}.context")})
    what = "For all keys; what a key brings itself counts more."
    context = {**ref(f"{name}.context"), "description": what}
    keys = {"type": "array", "items": {"anyOf": [ref(f"{name}.key"), long]}, "minItems": 1, "maxItems": max_keys}
    body = _body(ManyRequest, described, {"keys": keys, "context": context})
    # Each key has a status of its own.
    answer = {"allOf": [ref("Answer"), {"properties": {"prediction": ref(f"{name}.prediction")}}]}
    items = {"type": "array", "items": {"anyOf": [answer, ref("Failure")]}}
    document = {"type": "object", "properties": {"model": {"const": name}, "predictions": items}}
    return _operation(
        described,
        "predict_many",
        "Many predictions",
        "Computed together where they must be; each key has a status of its own, in the order of the request.",
        parameters=_user_tier(described),
        requestBody=_content(body, described.many_example()),
        responses={
            "200": _json(document | {"required": ["model", "predictions"]}, "A prediction or a problem for each key."),
            **_instead("predict_many"),
        },
    )


def _rank(described: Described, max_keys: int) -> Schema:
    name = described.name
    parts, context = described.parts()["properties"], described.context()["properties"]
    columns = {column: _column(schema, max_keys) for column, schema in (parts | context).items()}
    candidates = {
        "type": "object",
        "properties": columns,
        "additionalProperties": False,
        "minProperties": 1,
        "description": "What differs, by name: raw parts of the key or request-time features, one value for each.",
    }
    shared = {"type": "object", "properties": parts, "additionalProperties": False}
    k = {"type": "integer", "minimum": 1, "maximum": max_keys, "default": 10}
    given = {"candidates": candidates, "key": shared, "context": ref(f"{name}.context"), "k": k}
    if described.outputs:
        given["output"] = one_of([*described.outputs.schema()["properties"], None])
    return _operation(
        described,
        "rank",
        "The best of many candidates",
        "Each is predicted as it would be alone. Those without a prediction are named, and the others are ranked; "
        "without any, the reason is the answer.",
        parameters=_user_tier(described),
        requestBody=_content(_body(RankRequest, described, given), described.rank_example()),
        responses={
            "200": _json(ref("Ranking"), "The best, best first."),
            **_instead("rank"),
        },
    )


def _why(described: Described) -> Schema:
    return _operation(
        described,
        "why",
        "Why it is answered as it is",
        "Which tier would answer now, and why not the nearer ones; changes nothing.",
        parameters=_parameters(described),
        responses={
            "200": _json(ref("Explanation"), "All tiers and all dependencies."),
            **_instead("why"),
        },
    )


def _parameters(described: Described) -> list[Schema]:
    name, keys = described.name, described.keys
    key: Schema = {"name": "key", "in": "path", "required": True, "schema": ref(f"{name}.key")}
    if keys:
        texts = dict.fromkeys(map(entity, keys))
        key["examples"] = {f"key {n}": {"value": text} for n, text in enumerate(texts, 1)}
    values = described.values(keys[0]) if keys else {}
    schemas = described.context()["properties"]
    fields = [
        _query(field.name, schemas[field.name], required=field.default is None)
        | ({"example": values[field.name]} if values else {})
        for field in described.model.context
    ]
    return [key, *fields, _query("variant", ref(f"{name}.variant"))]


def _user_tier(described: Described) -> list[Schema]:
    what = "Whose request it is: user tiers have more time, or less."
    return [_header(described.tier_header, what)] if described.tier_header else []


def _column(schema: Schema, max_keys: int) -> Schema:
    return {"type": "array", "items": schema, "minItems": 1, "maxItems": max_keys}


def _body(kind: type[msgspec.Struct], described: Described, given: Mapping[str, Schema]) -> Schema:
    schema = _BODIES[kind.__name__]
    variant = {"anyOf": [ref(f"{described.name}.variant"), {"type": "null"}]}
    budget = {**_BUDGET, "type": ["number", "null"]}
    return _members(schema, {**given, "variant": variant, "budget_ms": budget})


def _members(schema: Schema, known: Mapping[str, Schema]) -> Schema:
    """A type's schema with more said of some of its members."""
    return {**schema, "properties": {**schema["properties"], **known}}


def _query(name: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _header(name: str, description: str) -> Schema:
    return {"name": name, "in": "header", "required": False, "description": description, **_TEXT}


def _content(schema: Schema, example: Schema | None) -> Schema:
    media: dict[str, Any] = {"schema": schema}
    if example is not None:
        media["examples"] = {"real": {"summary": "With keys that answer", "value": example}}
    return {"required": True, "content": {"application/json": media}}


def _json(schema: Schema, description: str, **more: object) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}, **more}
