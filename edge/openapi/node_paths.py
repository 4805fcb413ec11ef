"""The doors of a node: its health and numbers, what it serves, and what may be changed with the admin token."""

from __future__ import annotations

from collections.abc import Sequence

from edge.api.admin import INVALIDATE, Invalidation
from edge.api.authority import NoAuthority, WrongToken
from edge.api.health import LIVE, READY
from edge.api.models import MODELS
from edge.api.wire import BodyTooLarge
from edge.contract.models import ModelDetails, Models
from edge.dashboard.data import DATA, RANGE_S
from edge.dashboard.data import LIVE as EVENTS
from edge.dashboard.document import Document
from edge.dashboard.page import PAGE
from edge.dashboard.run_job import RUN
from edge.openapi.described import Described
from edge.openapi.problems import responses
from edge.openapi.schemas import Schema, of_types, record, ref
from precompute import errors

OPENAPI = "/openapi.json"
DOCS = "/docs"
HEALTH, OPERATIONS, DASHBOARD, DESCRIPTION = "health", "operations", "dashboard", "description"
TAGS = {
    HEALTH: "For balancers and monitoring.",
    OPERATIONS: "Changes, for whoever has the admin token.",
    DASHBOARD: "What a fleet of edges does, for people.",
    DESCRIPTION: "This description.",
}
#: How `NEARCAST_ADMIN_TOKEN` is presented.
SECURITY: Schema = {"admin": {"type": "http", "scheme": "bearer", "description": "`NEARCAST_ADMIN_TOKEN`"}}

_ADMIN = (NoAuthority, WrongToken, errors.InvalidRequest, errors.TransientError)
_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_UNCHANGED: Schema = {"description": "The client has it already."}
_COUNT: Schema = {"type": "integer", "minimum": 0}


def node_paths(models: Sequence[Described], jobs: Sequence[str]) -> dict[str, Schema]:
    """Paths that are the same whatever the project declares; models and jobs are examples."""
    return {
        LIVE: {"get": _live()},
        READY: {"get": _ready()},
        "/metrics": {"get": _metrics()},
        MODELS: {"get": _models()},
        MODELS + "/{model}": {"get": _model(models)},
        INVALIDATE: {"post": _invalidate(models)},
        RUN + "{name}/run": {"post": _run(jobs)},
        DATA: {"get": _data()},
        EVENTS: {"get": _events()},
        PAGE: {"get": _page("dashboard", DASHBOARD, "The dashboard's page")},
        DOCS: {"get": _page("docs", DESCRIPTION, "This description, as a page")},
        OPENAPI: {"get": _description()},
    }


def node_schemas() -> dict[str, Schema]:
    """Schemas that only these paths use."""
    return (
        of_types([Invalidation, Models, ModelDetails])
        | of_types([Document], DASHBOARD + ".")
        | {"Readiness": _readiness(), "Order": _order()}
    )


def _operation(name: str, tag: str, summary: str, *answers: Schema, **more: object) -> Schema:
    told = {status: response for answer in answers for status, response in answer.items()}
    return {"operationId": name, "tags": [tag], "summary": summary, **more, "responses": {**told, **responses()}}


def _json(schema: Schema, status: str = "200", description: str = "") -> Schema:
    return {status: {"description": description, "content": {"application/json": {"schema": schema}}}}


def _live() -> Schema:
    return _operation("live", HEALTH, "Whether the process answers", _json(record({"live": {"const": True}})))


def _ready() -> Schema:
    wanted = _json(ref("Readiness"), description="It wants requests.")
    unwanted = _json(ref("Readiness"), "503", "It is starting or stopping, and others should be asked.")
    return _operation("ready", HEALTH, "Whether it wants requests", wanted, unwanted)


def _readiness() -> Schema:
    serving = record({"model": _TEXT, "variant": _TEXT, "version": _COUNT})
    failure = record({"model": _TEXT, "version": _COUNT, "reason": _TEXT})
    return record(
        {
            "ready": _FLAG,
            "replica_connected": _FLAG,
            "primary_connected": _FLAG,
            "lag_s": {"type": ["number", "null"], "description": "How far the replica is behind; null if unknown."},
            "models": {"type": "array", "items": serving, "description": "What answers."},
            "failures": {"type": "array", "items": failure, "description": "Versions that do not load."},
        }
    )


def _metrics() -> Schema:
    content = {kind: {"schema": _TEXT} for kind in ("text/plain", "application/openmetrics-text")}
    page = {"200": {"description": "In the form that `Accept` asks for.", "content": content}}
    return _operation("metrics", HEALTH, "Everything that is counted, for Prometheus", page)


def _models() -> Schema:
    return _operation("models", HEALTH, "All models, and how they do", _json(ref("Models")))


def _model(models: Sequence[Described]) -> Schema:
    known = _in_path("model", [described.name for described in models])
    refused = responses(errors.InvalidRequest, errors.UnknownModel, errors.TransientError)
    summary = "One model with its versions"
    return _operation("model", HEALTH, summary, _json(ref("ModelDetails")), refused, parameters=[known])


def _invalidate(models: Sequence[Described]) -> Schema:
    media: Schema = {"schema": ref("Invalidation")}
    if known := next((described for described in models if described.keys), None):
        model, key, why = known.model, known.keys[0], "a wrong price was imported"
        row = {"view": model.dependencies[0].view, "entity": model.entities(key)[0], "refresh": True, "why": why}
        one = {"model": model.name, "key": key.text, "dry_run": True, "why": why}
        media["examples"] = {"what a key would come to": {"value": one}, "all that a row is behind": {"value": row}}
    refused = responses(
        *_ADMIN, errors.UnknownModel, errors.InvalidKey, errors.InvalidContext, errors.PermanentError, BodyTooLarge
    )
    return _operation(
        "invalidate",
        OPERATIONS,
        "Makes predictions stale",
        _json(ref("Order"), description="What it comes to."),
        refused,
        security=[{"admin": []}],
        requestBody={"required": True, "content": {"application/json": media}},
    )


def _order() -> Schema:
    return record(
        {
            "target": {"type": "object"},
            "hot_keys": _COUNT | {"description": "Hot keys that it makes stale."},
            "first": {"type": "array", "items": {"type": "object"}},
            "given": _FLAG | {"description": "False for a `dry_run`."},
            "order": {"type": ["object", "null"]},
        }
    )


def _run(jobs: Sequence[str]) -> Schema:
    ordered = _json(record({"job": _TEXT, "ordered": {"const": True}}), "202", "The scheduler has been told.")
    refused = responses(*_ADMIN, errors.UnknownJob)
    more = {"security": [{"admin": []}], "parameters": [_in_path("name", jobs)]}
    return _operation("run_job", OPERATIONS, "Has a declared job run now", ordered, refused, **more)


def _in_path(name: str, known: Sequence[str]) -> Schema:
    examples = {"examples": {text: {"value": text} for text in known}} if known else {}
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}, **examples}


def _shown() -> list[Schema]:
    seconds = {"type": "integer", "minimum": RANGE_S[0], "maximum": RANGE_S[-1], "default": 900}
    return [
        {"name": "range_s", "in": "query", "schema": seconds},
        {"name": "node", "in": "query", "schema": _TEXT, "description": "One node; all of them if left out."},
    ]


def _data() -> Schema:
    refused = responses(errors.InvalidRequest, errors.TransientError)
    numbers = _json(ref(f"{DASHBOARD}.Document"))
    return _operation("dashboard_data", DASHBOARD, "All numbers", numbers, refused, parameters=_shown())


def _events() -> Schema:
    stream = {"description": "An event `data` every 5 s.", "content": {"text/event-stream": {"schema": _TEXT}}}
    refused = responses(errors.InvalidRequest, errors.Overloaded)
    summary = "All numbers, whenever they change, as server-sent events"
    return _operation("dashboard_live", DASHBOARD, summary, {"200": stream}, refused, parameters=_shown())


def _page(name: str, tag: str, summary: str) -> Schema:
    page = {"description": "Nothing on it comes from elsewhere.", "content": {"text/html": {"schema": _TEXT}}}
    return _operation(name, tag, summary, {"200": page, "304": _UNCHANGED})


def _description() -> Schema:
    document = record({"openapi": _TEXT, "info": {"type": "object"}, "paths": {"type": "object"}})
    return _operation("openapi", DESCRIPTION, "This description", _json(document), {"304": _UNCHANGED})
