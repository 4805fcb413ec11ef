"""What the dashboard tells of models, experiments and breakers of a real edge is what was asked of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deploy.local.redis_pair import RedisPair
from precompute.series import TIERS
from tests import onnx_models
from tests.edge_process import Edge, edge_process, tier
from tests.edge_project import MANIFEST, EdgeProject, graph
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

TEXT = (
    MANIFEST
    + """
[models.failing]
key = ["flight"]
inputs = { x = ["flight.distance", "flight.slack"] }

[experiments.faster]
model = "late"
unit = "key.flight"
[experiments.faster.arms]
control = { variant = "default", share = 1 }
quick = { variant = "fast", share = 1 }

[experiments.winter]
model = "patient"
start = "2020-01-01T00:00:00Z"
end = "2020-02-01T00:00:00Z"
[experiments.winter.arms]
one = { variant = "default" }
other = { variant = "default" }
"""
)
FILES = {("late", variant): graph("late", variant) for variant in ("default", "fast")} | {
    ("patient", "default"): graph("patient"),
    ("failing", "default"): onnx_models.failing(),
}
FLIGHTS = [f"F{n}" for n in range(60)]
#: A bucket, its end, and its way here; what is said of variants and of experiments comes at a pace of its own.
_FLUSHED_WITHIN_S = 40.0

Document = dict[str, Any]


@pytest.fixture
def edge(clean_redis: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """One edge; its name says who it is to those who look."""
    project = EdgeProject.declare(tmp_path_factory.mktemp("board"), clean_redis, TEXT, FILES, edge_name="here")
    project.put_flights(FLIGHTS, [n / 60 for n in range(60)])
    project.put_weather({"EWR": 0.5})
    with edge_process(project.settings) as running:
        yield running
    project.store.close()


def document(edge: Edge) -> Document:
    """What it says."""
    found: Document = edge.get("/dashboard/data?range_s=300").json()
    return found


def settled(edge: Edge, requests: int) -> Document:
    """The document, once it tells so many requests."""
    wait_until(lambda: document(edge)["totals"]["requests"] >= requests, _FLUSHED_WITHIN_S)
    return document(edge)


def variant(found: Document, model: str, name: str) -> Document:
    """What a document says of one."""
    return next(row for row in found["models"] if (row["model"], row["variant"]) == (model, name))


def by_every_door(edge: Edge) -> tuple[int, list[httpx.Response]]:
    """Asks for predictions in all ways there are, with and without success; how many keys that was."""
    rank = {"candidates": {"flight": ["F1", "F2", "F3", "nobody"]}, "key": {"origin": "EWR"}, "k": 2}
    tensors = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.1, 0.5]}]}
    asked: list[tuple[int, str, Any]] = [
        (1, "/v1/predict/late/F1:EWR", None),
        (1, "/v1/predict/late/F1:EWR", None),
        (1, "/v1/predict/late/nobody:EWR", None),
        (1, "/v1/predict/late/F1:EWR?variant=auto", None),
        (1, "/v1/predict/late/F2:EWR?variant=auto&budget_ms=0.001", None),
        (3, "/v1/predict/late", {"keys": ["F1:EWR", "F4:EWR", "odd"]}),
        (2, "/v1/predict/late", {"keys": ["F5:EWR", "F6:EWR"], "variant": "auto"}),
        (4, "/v1/rank/late", rank),
        (4, "/v1/rank/late", {**rank, "variant": "auto"}),
        (1, "/v1/rank/late", {"candidates": {}}),
        (1, "/v2/models/late/infer", {"parameters": {"key": "F7:EWR"}}),
        (1, "/v2/models/late/infer", {"parameters": {"key": "F7:EWR", "variant": "auto"}}),
        (1, "/v2/models/late/infer", {"parameters": {"key": "nobody:EWR"}}),
        (1, "/v2/models/patient/infer", tensors),
        (1, "/v2/models/patient/infer", {"inputs": []}),
        (1, "/v1/models/patient:predict", {"instances": [[0.1, 0.5]]}),
        (1, "/v1/models/patient:predict", {"instances": [["no number"]]}),
    ]
    answers = [edge.get(path) if body is None else edge.client.post(path, json=body) for _, path, body in asked]
    return sum(keys for keys, _, _ in asked), answers


def test_hits_misses_and_errors_are_all_requests_whichever_door_they_came_by(edge: Edge) -> None:
    """Ranking and the Open Inference Protocol are counted like all others; the dashboard, metrics and sender agree."""
    asked, answers = by_every_door(edge)

    totals = settled(edge, asked)["totals"]

    by_result = {r: edge.metric("nearcast_requests_total", result=r) for r in ("hit", "miss", "error")}
    assert Counter(answer.status_code // 100 for answer in answers) == {2: 12, 4: 5}
    assert sum(by_result.values()) == edge.metric("nearcast_requests_total") == totals["requests"] == asked
    assert sum(totals["tiers"][tier] for tier in TIERS) == by_result["hit"] + by_result["miss"]
    assert totals["errors"] + totals["shed"] == by_result["error"] == edge.metric("nearcast_errors_total")
    assert edge.metric("nearcast_variant_answers_total") == by_result["hit"] + by_result["miss"]


def test_choices_of_routing_are_told_by_variant(edge: Edge) -> None:
    """As often as it was asked to choose; those over budget among them."""
    said: Counter[str] = Counter()
    for flight in FLIGHTS[:20]:
        for query, cached in (("", ""), ("&budget_ms=0.000001", "no-cache")):
            answer = edge.get(f"/v1/predict/late/{flight}:EWR?variant=auto{query}", cache_control=cached)
            name = answer.json()["variant"]
            said[name] += 1
            said[f"{name} late"] += "over" in answer.headers["nearcast-variant"]

    found = settled(edge, 40)

    rows = {name: variant(found, "late", name) for name in ("default", "fast")}
    assert sum(row["chosen"] for row in rows.values()) == 40
    assert {name: row["chosen"] for name, row in rows.items()} == {name: said[name] for name in rows}
    assert {name: row["over_budget"] for name, row in rows.items()} == {name: said[f"{name} late"] for name in rows}
    assert sum(row["over_budget"] for row in rows.values()) > 0
    assert edge.metric("nearcast_routing_choices_total", model="late") == 40
    answered = {name: edge.metric("nearcast_variant_answers_total", model="late", variant=name) for name in rows}
    assert {name: row["share"] for name, row in rows.items()} == {name: answered[name] / 40 for name in rows}


def test_models_are_told_with_latency_and_memory(edge: Edge) -> None:
    """By tier, as measured; what nothing is published for is not loaded, and nobody knows how fast it is."""
    for _ in range(3):
        edge.get("/v1/predict/late/F1:EWR?variant=fast")
    settled(edge, 3)
    wait_until(lambda: variant(document(edge), "late", "fast")["expected_ms"] is not None, _FLUSHED_WITHIN_S)

    found = document(edge)

    fast, planned = variant(found, "late", "fast"), variant(found, "late", "planned")
    shown = next(row for row in edge.get("/v1/models/late").json()["variants"] if row["variant"] == "fast")
    assert (fast["loaded_in"], fast["told_by"], fast["memory_bytes"]) == (1, 1, shown["memory_bytes"])
    assert (fast["quality"], fast["version"], fast["share"]) == (0.6, shown["version"], 1.0)
    assert fast["tier_p95_ms"]["live"] > fast["tier_p95_ms"]["memory"] > 0
    assert fast["tier_p95_ms"]["replica"] is None
    assert fast["expected_ms"] == pytest.approx(shown["recent_live"]["p95_ms"], rel=0.01)
    assert (planned["version"], planned["loaded_in"], planned["expected_ms"], planned["share"]) == (None, None, None, 0)
    assert found["models_left_out"] == 0


def test_an_experiment_is_told_as_it_was_answered(edge: Edge) -> None:
    """Answers and units by arm, its check, and bounds of what came out; one that is over in short."""
    said: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for flight in FLIGHTS * 2:
        answer = edge.get(f"/v1/predict/late/{flight}:EWR")
        arm = answer.headers["nearcast-experiment"].removeprefix("faster=")
        said[arm] += 1
        hits[arm] += tier(answer) in {"memory", "replica"}

    def told() -> tuple[int, int]:
        """Answers, and records that were looked at."""
        (running,) = document(edge)["experiments"]["running"]
        return sum(arm["answers"] for arm in running["arms"]), running["records"]

    wait_until(lambda: told() >= (120, 120), _FLUSHED_WITHIN_S)

    experiments = document(edge)["experiments"]

    (running,), (ended,) = experiments["running"], experiments["ended"]
    found = {arm["arm"]: arm for arm in running["arms"]}
    assert {name: arm["answers"] for name, arm in found.items()} == said
    assert {name: arm["units"] for name, arm in found.items()} == {name: count // 2 for name, count in said.items()}
    assert [(arm["serves"], arm["share"]) for arm in found.values()] == [
        ("variant default", 0.5),
        ("variant fast", 0.5),
    ]
    assert found["quick"]["seen"]["low"] < found["quick"]["seen"]["estimate"] < found["quick"]["seen"]["high"]
    assert found["quick"]["mean_ms"]["estimate"] > 0
    assert {name: arm["hits"]["estimate"] for name, arm in found.items()} == {n: hits[n] / said[n] for n in said}
    assert running["sample_ratio_p"] > 0.001
    assert (running["is_mismatch"], running["records"]) == (False, 120)
    assert (ended["name"], ended["was_stopped"], ended["answers"]) == ("winter", False, {"one": 0, "other": 0})
    assert (experiments["running_count"], experiments["ended_count"], experiments["broken"]) == (1, 1, {})
    assert edge.metric("nearcast_exposures_dropped_total") == 0


def test_an_open_breaker_is_told_with_its_reason(edge: Edge) -> None:
    """On the dashboard and in metrics; the breakers of other models are closed."""
    for flight in FLIGHTS[:12]:
        edge.get(f"/v1/predict/failing/{flight}")
    wait_until(lambda: document(edge)["breakers"], _FLUSHED_WITHIN_S, "no breaker is told")

    (told,) = document(edge)["breakers"]

    assert (told["model"], told["variant"], told["node"], told["process"]) == ("failing", "default", "here", 0)
    assert told["state"] in {"open", "trial"}
    assert "the model failed" in told["why"]
    assert 0 <= document(edge)["now_ms"] - told["since_ms"] < 60_000
    assert edge.metric("nearcast_breaker_open", model="failing", variant="default") == 1
    assert edge.metric("nearcast_breaker_open") == 1
