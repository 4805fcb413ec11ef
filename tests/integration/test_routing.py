"""`variant=auto` at a real edge: who answers, what is said of it, and a variant that becomes slow."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from deploy.local.redis_pair import RedisPair
from precompute.keys import profiles_key
from tests import onnx_models
from tests.edge_process import Edge, edge_process, tier
from tests.edge_project import EdgeProject
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

MANIFEST = """
[project]
name = "routed"

[views.flight.fields]
distance = "float32"
slack = "float32"
[views.weather.fields]
temp = "float32"
[views.account.fields]
plan = { type = "string", default = "" }

[tiers]
premium = { budget_factor = 50.0 }
free = { budget_factor = 0.5 }
[tier_source]
header = "x-account"
view = "account"
field = "plan"

[models.late]
key = ["flight", "weather"]
inputs = { x = ["flight.distance", "weather.temp"] }
variants = { accurate = { quality = 0.9 }, default = { quality = 0.7 } }

[models.routed]
routing = "auto"
key = ["flight"]
inputs = { x = ["flight.distance", "flight.slack"] }
variants = { best = { quality = 0.9 }, default = { quality = 0.7 } }
"""
FILES = {
    # As slow as the weather is hot.
    ("late", "accurate"): onnx_models.looping(2, turns_at=1),
    ("late", "default"): onnx_models.mlp((2, 8, 1), seed=1),
    ("routed", "best"): onnx_models.mlp((2, 8, 1), seed=2),
    ("routed", "default"): onnx_models.mlp((2, 8, 1), seed=3),
}
#: What a run of it takes then: as far from the budget as from what a premium account is given, because the machine may
#: be several times as fast or as slow by then as when its turns were measured.
HOT_S = 0.7
BUDGET_MS = 100
NODE = "routing-node"


class Scene:
    """One edge for all tests of this file."""

    def __init__(self, project: EdgeProject, edge: Edge) -> None:
        self.project, self.edge = project, edge
        self._event_ms = 1

    def heat(self, turns: float) -> None:
        """The weather changes."""
        self._event_ms += 1
        self.project.put_weather({"EWR": turns}, event_ms=self._event_ms)

    def ask(self, budget_ms: float = BUDGET_MS, query: str = "variant=auto", **headers: str) -> httpx.Response:
        """Asks for a prediction that must be computed."""
        path = f"/v1/predict/late/F1:EWR?{query}&budget_ms={budget_ms}"
        return self.edge.get(path, cache_control="no-cache", **headers)

    def answers(self, variant: str, **headers: str) -> bool:
        """Whether that variant answers now."""
        response = self.ask(**headers)
        return response.status_code == 200 and response.json()["variant"] == variant


@pytest.fixture(scope="module")
def scene(redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The pair is everybody's, so this file empties it first."""
    directory = tmp_path_factory.mktemp("routing")
    EdgeProject.declare(directory, redis_pair, MANIFEST, {}).store.call("FLUSHALL")
    project = EdgeProject.declare(directory, redis_pair, MANIFEST, FILES, edge_name=NODE)
    project.put_flights(["F1", "F2", "F3"], [1.0, 2.0, 3.0])
    project.put_weather({"EWR": 1.0})
    accounts = [("gold", "premium"), ("none", "nothing known")]
    project.put("account", [(name, {"plan": plan}) for name, plan in accounts])
    with edge_process(project.settings) as edge:
        yield Scene(project, edge)
    project.store.close()


def test_a_variant_that_becomes_slow_loses_traffic_and_gets_it_back(scene: Scene) -> None:
    """By its measured latency; who may wait longer still gets it."""
    wait_until(lambda: scene.answers("accurate"), 30.0, "the best variant is never measured as fast enough")

    scene.heat(onnx_models.turns_in(HOT_S))
    wait_until(lambda: scene.answers("default"), 30.0, "the slow variant keeps its traffic")
    routed = scene.ask()
    wait_until(lambda: scene.answers("accurate", x_account="gold"), 30.0, "who has time does not get the best")
    scene.heat(1.0)

    wait_until(lambda: scene.answers("accurate"), 30.0, "the variant does not get its traffic back")
    assert routed.headers["nearcast-variant"].startswith(f"default;tier=live;budget={BUDGET_MS}.0;p95=")
    assert routed.headers["vary"] == "x-account"


def test_nothing_fits_is_said(scene: Scene) -> None:
    """The fastest answers, beyond its budget if need be, once it has been measured."""

    def over() -> httpx.Response | None:
        response = scene.ask(0.02, x_account="gold")
        return response if "over" in response.headers.get("nearcast-variant", "") else None

    found = wait_until(over, 30.0, "nothing is ever over the budget")

    assert found.headers["nearcast-variant"].endswith(";over")


def test_named_variants_are_answered_as_ever(scene: Scene) -> None:
    """Whatever they take; and nobody is told of a choice that was none."""
    for name in ("accurate", "default"):
        response = scene.ask(5000, f"variant={name}")

        assert response.json()["variant"] == name
        assert "nearcast-variant" not in response.headers


def test_a_routed_model_needs_no_parameter(scene: Scene) -> None:
    """The best answers a plain GET; then it lies ready, and is given whatever the budget is."""

    def best() -> bool:
        response = scene.edge.get("/v1/predict/routed/F2", cache_control="no-cache")
        return response.json()["variant"] == "best"

    wait_until(best, 30.0, "the best variant never answers")
    again = scene.edge.get("/v1/predict/routed/F2?budget_ms=5")

    assert (again.json()["variant"], tier(again)) == ("best", "memory")
    assert scene.edge.get("/v1/predict/routed/F2?variant=default").json()["variant"] == "default"


def test_many_keys_are_routed_one_by_one(scene: Scene) -> None:
    """Each says its variant."""
    found = scene.edge.post("routed", ["F1", "F2", "F3"]).json()["predictions"]

    assert [p["status"] for p in found] == [200] * 3
    assert {p["prediction"]["variant"] for p in found} <= {"best", "default"}
    fixed = scene.edge.post("late", ["F1:EWR"], variant="auto", budget_ms=1000).json()["predictions"]
    assert fixed[0]["status"] == 200


def test_models_are_shown_with_what_was_measured(scene: Scene) -> None:
    """Versions, variants, quality, latencies and counts."""
    wait_until(lambda: scene.answers("accurate"), 30.0)

    document = scene.edge.get("/v1/models/late").json()

    assert (document["name"], document["key"], document["routing"]) == ("late", "<flight>:<weather>", "fixed")
    assert [(v["variant"], v["active"], v["loaded"]) for v in document["versions"]] == [
        ("default", True, True),
        ("accurate", True, True),
    ]
    accurate = document["variants"][0]
    assert (accurate["variant"], accurate["quality"], accurate["version"]) == ("accurate", 0.9, 1)
    assert accurate["recent_live"]["count"] >= 1
    live = accurate["answers"]["live"]
    assert live["count"] >= 1
    assert 0 < live["average_ms"] <= live["p99_ms"] * 1.1
    listed = scene.edge.get("/v1/models").json()["models"]
    assert [m["name"] for m in listed] == ["late", "routed"]
    assert scene.edge.get("/v1/models/nobody").status_code == 404
    assert scene.edge.get("/v1/models/late/more").status_code == 400


def test_what_was_measured_outlives_a_restart(scene: Scene) -> None:
    """Another process of that name knows the latencies before its first request."""
    wait_until(lambda: scene.answers("accurate"), 30.0)
    settings = scene.project.settings.model_copy(update={"edge_name": "second"})
    with edge_process(settings) as first:
        wait_until(
            lambda: (
                first.get("/v1/predict/late/F1:EWR?variant=auto", cache_control="no-cache").json()["variant"]
                == "accurate"
            ),
            30.0,
        )
        assert first.role.stop() == 0
    assert scene.project.store.call("TTL", profiles_key("second")) > 0

    scene.project.replicate()
    with edge_process(settings) as second:
        recent = [v["recent_live"] for v in second.get("/v1/models/late").json()["variants"]]

    assert all(recent)
