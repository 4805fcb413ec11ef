"""The OpenAPI 3.1 document of an edge: put together from what the code reads and gives, and the project declares."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from edge.contract.answers import Answer, Failure, Prediction, Problem, Ranking
from edge.openapi.described import Described
from edge.openapi.node_paths import SECURITY, TAGS, node_paths, node_schemas
from edge.openapi.prediction_paths import model_paths, model_schemas, shared_responses
from edge.openapi.protocol_paths import ABOUT, PROTOCOL, protocol_paths, protocol_schemas
from edge.openapi.schemas import Schema, of_types, record
from precompute.manifest import Project

_INTRODUCTION = """Predictions, computed before anyone asks for them and never stale as fresh.

A prediction is asked for by its **key**: entity values in declared order, joined by `:`. Request-time features
(**context**) stand in the query, or beside the key in a body. Each answer says which **tier** gave it. Errors are
problem documents (RFC 9457), whose `type` does not change. Every `GET` may be a `HEAD`.
"""


def document(project: Project, models: Sequence[Described], max_keys: int) -> Schema:
    """The whole of it, as plain data; a request may hold `max_keys`."""
    paths: dict[str, Schema] = {}
    schemas = of_types([Prediction, Answer, Failure, Ranking, Problem]) | node_schemas()
    schemas |= protocol_schemas() | {"Explanation": _explanation()}
    for described in models:
        paths |= model_paths(described, max_keys)
        schemas |= model_schemas(described)
    tags = {described.name: f"Keys: `{described.model.shape()}`" for described in models} | TAGS
    tags[PROTOCOL] = ABOUT
    return {
        "openapi": "3.1.0",
        "info": {"title": f"nearcast: {project.name}", "version": version("nearcast"), "description": _INTRODUCTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in tags.items()],
        "paths": paths | node_paths(models, list(project.jobs)) | protocol_paths(models),
        "components": {"schemas": schemas, "responses": shared_responses(), "securitySchemes": SECURITY},
    }


def _explanation() -> Schema:
    text: Schema = {"type": "string"}
    tier = record({"tier": text, "answers": {"type": "boolean"}, "reasons": {"type": "array"}})
    return record(
        {
            "model": text,
            "key": text,
            "variant": text,
            "version": {"type": "integer"},
            "would_answer": text,
            "tiers": {"type": "array", "items": tier, "description": "In the order in which they are asked."},
            "dependencies": {"type": "array", "items": record({"view": text, "entity": text})},
            "hotness": {"type": "object"},
            "next_refresh": {"type": "object"},
        }
    )
