"""The description and the code say the same: every door is described, and everything described is a door."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from starlette.routing import Match, Route

from edge.api.problems import STATUSES
from edge.app import Edge, now_ms
from edge.doors import doors
from edge.openapi.described import Described
from edge.openapi.document import document
from edge.openapi.problems import MEANINGS, responses
from precompute import errors, manifest
from precompute.settings import Settings

PROJECT = manifest.parse("""
[project]
name = "described"
[views.user.fields]
taste = "float32"
[models.liking]
key = ["user", "item"]
views = { user = "{user}" }
inputs = { x = ["user.taste", "context.hour"] }
context = { hour = { type = "int64", default = 12, min = 0, max = 23 } }
[models.plain]
key = ["user"]
inputs = { x = "user.taste" }
[jobs.nightly]
model = "plain"
keys = "all"
cron = "0 3 * * *"
""")
#: Files that pages are made of.
UNDESCRIBED = ("/dashboard/assets/x.js", "/docs/assets/x.js")


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    """The document of a project with examples."""
    models = [
        Described(model, keys=[model.parse_key(":".join("ab"[: len(model.key)]))]) for model in PROJECT.models.values()
    ]
    return document(PROJECT, models, 1000)


@pytest.fixture(scope="module")
def routes() -> list[Route]:
    """The doors of an edge that was never started."""
    return doors(Edge(PROJECT, Settings()), now_ms)


def _nodes(tree: object) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)


def _leads_somewhere(routes: list[Route], method: str, path: str) -> bool:
    scope = {"type": "http", "method": method, "path": path, "root_path": ""}
    return any(route.matches(scope)[0] is Match.FULL for route in routes)


def test_everything_described_is_a_door(described: dict[str, Any], routes: list[Route]) -> None:
    """Each path, with each of its methods."""
    for path, item in described["paths"].items():
        filled = re.sub(r"\{\w+\}", "x", path)
        for method in item:
            assert _leads_somewhere(routes, method.upper(), filled), (method, path)


def test_every_door_is_described(described: dict[str, Any], routes: list[Route]) -> None:
    """Each route leads to a described path for each of its methods; a HEAD is described by its GET."""
    told = [
        (method.upper(), re.sub(r"\{\w+\}", "x", path)) for path, item in described["paths"].items() for method in item
    ]
    told += [("GET", path) for path in UNDESCRIBED]
    for route in routes:
        # Without methods, the door itself looks at them.
        for method in (route.methods or {""}) - {"HEAD"}:
            scopes = [{"type": "http", "method": m, "path": p, "root_path": ""} for m, p in told if method in (m, "")]
            assert any(route.matches(scope)[0] is Match.FULL for scope in scopes), (method, route.path)


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    """And every schema is used."""
    components = described["components"]
    used = {node["$ref"].removeprefix("#/components/") for node in _nodes(described) if "$ref" in node}

    assert used == {f"{kind}/{name}" for kind in ("schemas", "responses") for name in components[kind]}


def test_operations_have_names_of_their_own(described: dict[str, Any]) -> None:
    """Generators of clients make methods of them."""
    names = [operation["operationId"] for item in described["paths"].values() for operation in item.values()]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_-]*", name) for name in names)


def test_every_parameter_of_a_path_is_described(described: dict[str, Any]) -> None:
    """No more and no less."""
    for path, item in described["paths"].items():
        for operation in item.values():
            told = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert told == set(re.findall(r"\{(\w+)\}", path)), path


def test_every_problem_has_a_meaning() -> None:
    """Those that the code can answer with, and no others."""
    assert set(MEANINGS) == {name for _, _, name in STATUSES}


def test_problems_are_put_together_by_status() -> None:
    """With all types that a status can mean, and word of when to come back where that helps."""
    told = responses(errors.UnknownModel, errors.InvalidKey, errors.Overloaded)

    assert sorted(told) == ["404", "414", "431", "503"]
    narrowed = told["404"]["content"]["application/problem+json"]["schema"]["allOf"][1]
    assert narrowed["properties"]["type"] == {
        "type": "string",
        "enum": ["urn:nearcast:problem:unknown-model", "urn:nearcast:problem:invalid-key"],
    }
    assert "Retry-After" in told["503"]["headers"]
    assert "headers" not in told["404"]


def test_a_model_takes_little_room() -> None:
    """Hundreds of them make a document that can still be sent; it is compressed on its way."""
    (model, _) = PROJECT.models.values()
    alone, none = (len(orjson.dumps(document(PROJECT, models, 1000))) for models in ([Described(model)], []))

    assert alone - none < 12_000
