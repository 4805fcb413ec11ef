"""`/openapi.json` says what the doors do: checked by asking, by somebody who knows nothing else of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.local.redis_pair import RedisPair
from precompute.features import Row
from precompute.keys import hot_key
from tests import onnx_models
from tests.edge_process import Edge, edge_process
from tests.edge_project import EdgeProject

pytestmark = pytest.mark.integration

TOKEN = "open-sesame"
MANIFEST = """
[project]
name = "described"
[tiers]
premium = { budget_factor = 2.0 }

[views.user.fields]
taste = "float32"
[views.item.fields]
price = "float32"

[models.liking]
key = ["user", "item"]
inputs = { x = ["user.taste", "item.price", "context.hour", "context.share"] }
variants = { default = { quality = 0.7 }, fast = { quality = 0.6 } }
examples = ["u1:i1?share=0.5", "nobody:i1?share=0.5", "u2:i1?share=0.5"]
[models.liking.context]
hour = { type = "int64", default = 12, min = 0, max = 23 }
share = { type = "float32", min = 0 }

[models.kind]
key = ["item"]
inputs = { x = "item.price" }
outputs = { kind = { from = "y", transform = "softmax", labels = ["a", "b"] } }
policy = { default = { kind = { a = 0.5, b = 0.5 } } }
examples = ["i1"]

[jobs.nightly]
model = "kind"
keys = "all"
cron = "0 3 * * *"
"""
FILES = {
    ("liking", "default"): onnx_models.mlp((4, 8, 1), seed=1),
    ("liking", "fast"): onnx_models.mlp((4, 2, 1), seed=2),
    ("kind", "default"): onnx_models.mlp((1, 8, 2), seed=3),
}
KEYS = {"liking": ["u1:i1", "u2:i~20~2F2", "u1:i1?share=0.1&hour=3"], "kind": ["i1", "i~20~2F2"]}
RANKED = {
    "liking": {"key": {"user": "u1"}, "candidates": {"item": ["i1", "i /2"]}, "context": {"share": 1}, "pick": None},
    "kind": {"key": {}, "candidates": {"item": ["i1", "i /2"]}, "output": "kind", "pick": "a"},
}
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
]


@dataclass(frozen=True, slots=True)
class Scene:
    project: EdgeProject
    edge: Edge


@pytest.fixture(scope="module")
def scene(redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The pair is everybody's, so this file empties it first."""
    directory = tmp_path_factory.mktemp("openapi")
    EdgeProject.declare(directory, redis_pair, MANIFEST, {}).store.call("FLUSHALL")
    # A busy machine is no reason for a 503 or a 504.
    patience = {"budget_ms": 30_000.0, "redis_timeout_s": 20.0}
    project = EdgeProject.declare(directory, redis_pair, MANIFEST, FILES, **patience)
    users = [Row(f"u{n}", {"taste": float(n)}, 1) for n in (1, 2)]
    items = [Row(name, {"price": 0.5}, 1) for name in ("i1", "i~20~2F2")]
    assert not project.features.put("user", users).rejected + project.features.put("item", items).rejected
    project.store.call("ZADD", hot_key("kind"), 3, "gone", 2, "i~20~2F2", 1, "not:a:key")
    project.replicate()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEARCAST_ADMIN_TOKEN", TOKEN)
        with edge_process(project.settings) as edge:
            yield Scene(project, edge)
    project.store.close()


@pytest.fixture(scope="module")
def document(scene: Scene) -> dict[str, Any]:
    """What the edge says of itself."""
    answer = scene.edge.get("/openapi.json")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def statuses(report: Path) -> dict[str, Counter[int]]:
    """How often each operation was answered with each status."""
    found: dict[str, Counter[int]] = {}
    for line in report.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for interaction in recorder.get("interactions", {}).values():
            counts = found.setdefault(recorder["label"], Counter())
            counts[(interaction["response"] or {}).get("status_code", 0)] += 1
    return found


def test_whoever_follows_the_description_meets_no_surprise(scene: Scene, tmp_path: Path) -> None:
    """Every door, asked with examples, limits and nonsense: no 5xx, and no status or answer that is not described."""
    report = tmp_path / "report.ndjson"
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", str(scene.edge.client.base_url.join("/openapi.json"))),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", "40", "--checks", ",".join(CHECKS)),
        *("--seed", "1", "--generation-database", "none", "--no-shrink", "--continue-on-failure", "--no-color"),
        # The stream has no end to wait for, and what is unloaded answers with 503.
        *("--exclude-path", "/dashboard/live", "--exclude-path", "/v2/repository/models/{model}/unload"),
        *("--header", f"Authorization: Bearer {TOKEN}"),
        *("--request-timeout", "60", "--report", "ndjson", "--report-ndjson-path", str(report)),
    ]
    hooks = {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "SCHEMATHESIS_HOOKS": "tests.schemathesis_hooks",
        "NEARCAST_TEST_KEYS": json.dumps(KEYS),
        "NEARCAST_TEST_RANKED": json.dumps(RANKED),
    }

    run = subprocess.run(
        command,
        check=False,
        cwd=tmp_path,
        env={**os.environ, **hooks},
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2_000:]
    seen = statuses(report)
    assert 0 not in set().union(*seen.values())
    for operation in ("GET /v1/predict/liking/{key}", "POST /v1/predict/liking", "POST /v1/rank/liking"):
        assert seen[operation][200] >= 5, seen[operation]
        assert sum(seen[operation].values()) >= 50, seen[operation]
    assert seen["POST /v1/invalidate"][200] and seen["POST /dashboard/jobs/{name}/run"][202]


class TestExamples:
    def test_they_are_keys_that_answer(self, scene: Scene, document: dict[str, Any]) -> None:
        """Hot ones first, then those that the project names; what has no prediction is no example."""
        examples = {
            model: [
                e["value"]
                for e in document["paths"][f"/v1/predict/{model}/{{key}}"]["get"]["parameters"][0]["examples"].values()
            ]
            for model in KEYS
        }

        assert examples == {"liking": ["u1:i1", "u2:i1"], "kind": ["i~20~2F2", "i1"]}
        for key in examples["kind"]:
            assert scene.edge.get(f"/v1/predict/kind/{key}").status_code == 200

    def test_bodies_are_answered_with_predictions(self, scene: Scene, document: dict[str, Any]) -> None:
        """Sent as they stand, each is answered for all its keys and candidates."""
        for model in KEYS:
            for door in ("predict", "rank"):
                path = f"/v1/{door}/{model}"
                media = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]

                answer = scene.edge.client.post(path, json=media["examples"]["real"]["value"])

                assert answer.status_code == 200, answer.text
                assert answer.json().get("unranked", []) == []
                assert {one["status"] for one in answer.json().get("predictions", [])} <= {200}

    def test_looking_for_them_does_not_count_as_asking(self, scene: Scene, document: dict[str, Any]) -> None:
        """Or a page that somebody looks at would make keys hot."""
        asked = scene.edge.metric("nearcast_requests_total")

        assert scene.edge.client.get("/openapi.json", headers={"if-none-match": "*"}).status_code == 304
        assert scene.edge.metric("nearcast_requests_total") == asked


def test_the_description_is_as_good_as_the_declaration(document: dict[str, Any]) -> None:
    """Types, ranges, choices and defaults of context; names of outputs; variants and the header of user tiers."""
    get = document["paths"]["/v1/predict/liking/{key}"]["get"]
    schemas = document["components"]["schemas"]

    fields = {p["name"]: (p["required"], p["schema"]) for p in get["parameters"] if p["in"] == "query"}
    assert fields["hour"] == (False, {"type": "integer", "minimum": 0, "maximum": 23, "default": 12})
    assert fields["share"] == (True, {"type": "number", "minimum": 0})
    assert schemas["liking.variant"] == {
        "type": "string",
        "enum": ["default", "fast", "auto"],
        "default": "default",
    }
    assert "x-user-tier" in {p["name"] for p in get["parameters"] if p["in"] == "header"}
    kind = schemas["kind.prediction"]["allOf"][1]["properties"]["outputs"]["properties"]["kind"]
    assert kind["properties"] == {"a": {"type": ["number", "null"]}, "b": {"type": ["number", "null"]}}


class TestDocs:
    def test_the_page_loads_nothing_from_elsewhere(self, scene: Scene) -> None:
        """All that it names is served by the edge itself, and its policy allows nothing else."""
        page = scene.edge.get("/docs")

        named = re.findall(r'(?:src|href|spec-url)="([^"]+)"', page.text)
        assert all(name.startswith("/") for name in named)
        assert [scene.edge.get(name).status_code for name in named] == [200] * len(named)
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert scene.edge.get("/docs/assets/no.js").status_code == 404
