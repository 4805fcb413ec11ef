"""More models than there is memory for, and models that fail or hang, at a real edge."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from deploy.local.redis_pair import RedisPair
from tests import onnx_models
from tests.edge_process import Edge, edge_process, tier
from tests.edge_project import EdgeProject, direct
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

MODELS = 20
VARIANTS = ("default", "fast", "accurate")
#: What a session of these files is reckoned to take before it is measured is 0.7 MiB; so there is room for some ten.
SIZES = (2, 256, 96, 1)
MEMORY_BYTES = 8 << 20
#: More turns than anybody waits for.
ENDLESS = 2e9

MANIFEST = """
[project]
name = "many"
[views.thing.fields]
a = "float32"
turns = "float32"

[models.endless]
key = ["thing"]
inputs = { x = ["thing.a", "thing.turns"] }
[models.failing]
key = ["thing"]
inputs = { x = ["thing.a", "thing.turns"] }
""" + "".join(
    f"""
[models.m{n}]
key = ["thing"]
inputs = {{ x = ["thing.a", "thing.turns"] }}
variants = {{ default = {{}}, fast = {{}}, accurate = {{}} }}
"""
    for n in range(MODELS)
)


def graph(n: int, variant: str) -> bytes:
    """The file of a variant of model n."""
    return onnx_models.mlp(SIZES, seed=10 * n + VARIANTS.index(variant))


class Scene:
    """One edge for all tests of this file."""

    def __init__(self, project: EdgeProject, edge: Edge) -> None:
        self.project, self.edge = project, edge
        self._event_ms = 1

    def put(self, thing: str, turns: float) -> None:
        """A thing changes."""
        self._event_ms += 1
        self.project.put("thing", [(thing, {"a": 1.0, "turns": turns})], event_ms=self._event_ms)


@pytest.fixture(scope="module")
def scene(redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The pair is everybody's, so this file empties it first."""
    directory = tmp_path_factory.mktemp("many")
    EdgeProject.declare(directory, redis_pair, MANIFEST, {}).store.call("FLUSHALL")
    files = {(f"m{n}", variant): graph(n, variant) for n in range(MODELS) for variant in VARIANTS}
    files |= {("endless", "default"): onnx_models.looping(2, turns_at=1), ("failing", "default"): onnx_models.failing()}
    project = EdgeProject.declare(directory, redis_pair, MANIFEST, files, model_memory_bytes=MEMORY_BYTES)
    project.put("thing", [(f"t{n}", {"a": float(n), "turns": 1.0}) for n in range(20)])
    with edge_process(project.settings) as edge:
        yield Scene(project, edge)
    project.store.close()


def test_all_models_answer_within_the_memory(scene: Scene) -> None:
    """Each is loaded when it is needed, and gives what it alone would; the least valuable make room."""
    for n in range(MODELS):
        for variant in VARIANTS:
            response = scene.edge.get(f"/v1/predict/m{n}/t3?variant={variant}")
            assert response.status_code == 200, response.text
            assert np.float32(response.json()["outputs"]["y"]) == direct(graph(n, variant), [[3.0, 1.0]])[0]
        assert scene.edge.metric("nearcast_model_memory_bytes") <= MEMORY_BYTES

    assert scene.edge.metric("nearcast_models_let_go_total") > MODELS
    assert 0 < scene.edge.metric("nearcast_models_loaded") < MODELS * len(VARIANTS)


def test_what_was_computed_needs_no_model(scene: Scene) -> None:
    """From memory: nothing is loaded for it."""
    paths = [f"/v1/predict/m{n}/t4?variant={variant}" for n in range(MODELS) for variant in VARIANTS]
    for path in paths:
        scene.edge.get(path)
    loads = scene.edge.metric("nearcast_model_loads_total")

    tiers = {tier(scene.edge.get(path)) for path in paths}

    assert tiers == {"memory"}
    assert scene.edge.metric("nearcast_model_loads_total") == loads


def test_who_asks_together_waits_for_one_load(scene: Scene) -> None:
    """Many models at once, each by several: nobody fails, whatever has to be let go of meanwhile."""
    paths = [f"/v1/predict/m{n}/t{key}" for key in (5, 6, 7) for n in range(MODELS)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(scene.edge.get, paths))

    assert {response.status_code for response in found} == {200}


def test_memory_is_shown(scene: Scene) -> None:
    """By variant: whether it is loaded, and what it takes."""
    scene.edge.get("/v1/predict/m1/t8")

    default = scene.edge.get("/v1/models/m1").json()["variants"][0]

    assert default["loaded"] is True
    assert 100_000 < default["memory_bytes"] < MEMORY_BYTES


def test_a_model_that_hangs_is_ended_and_taken_out_while_others_answer(scene: Scene) -> None:
    """It holds up nobody for long, and comes back when it is well again."""
    assert scene.edge.get("/v1/predict/endless/t9").status_code == 200
    scene.put("t9", ENDLESS)
    # Not the outcome of its own run, which takes what the limit allows.
    hung = scene.edge.get("/v1/predict/endless/t9?budget_ms=20000", cache_control="no-cache")

    taken_out = scene.edge.get("/v1/predict/endless/t10")
    other = scene.edge.get("/v1/predict/m2/t9")

    assert (hung.status_code, taken_out.status_code, other.status_code) == (503, 503, 200)
    assert "taken out" in taken_out.json()["detail"]
    assert taken_out.json()["type"] == "urn:nearcast:problem:model-unavailable"
    assert scene.edge.metric("nearcast_model_runs_ended_total") >= 1
    scene.put("t9", 1.0)
    wait_until(lambda: scene.edge.get("/v1/predict/endless/t9").status_code == 200, 60.0, "it does not come back")


def test_a_model_that_fails_for_everybody_is_taken_out(scene: Scene) -> None:
    """Its error is shown until then; others go on."""
    found = [scene.edge.get(f"/v1/predict/failing/t{n}") for n in range(12)]

    assert found[0].status_code == 422
    assert "the model failed" in found[0].json()["detail"]
    assert found[-1].status_code == 503
    assert "taken out" in found[-1].json()["detail"]
    assert scene.edge.metric("nearcast_models_taken_out") >= 1
    assert scene.edge.get("/v1/predict/m3/t9").status_code == 200


def test_why_says_that_a_model_is_taken_out(scene: Scene) -> None:
    """And all the rest that can be known without it."""
    for n in range(12):
        scene.edge.get(f"/v1/predict/failing/t{n}")

    found = scene.edge.get("/v1/why/failing/t1")
    slept = scene.edge.get("/v1/why/m7/t19?variant=accurate")

    live = next(t for t in found.json()["tiers"] if t["tier"] == "live")
    assert (live["answers"], live["reasons"][0]["reason"]) == (False, "no-model")
    assert slept.json()["would_answer"] == "live"
