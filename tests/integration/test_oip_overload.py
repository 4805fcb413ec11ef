"""More tensors than a node can compute: shed with a word of when to come back, while everybody else is answered."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from deploy.local.redis_pair import RedisPair
from precompute.features import Row
from tests import onnx_models
from tests.edge_process import Edge, edge_process
from tests.edge_project import EdgeProject

pytestmark = pytest.mark.integration

MANIFEST = """
[project]
name = "crowded"

[views.flight.fields]
v = "float32[2]"

[models.slow]
key = ["flight"]
inputs = { x = "flight.v" }
[models.fast]
key = ["flight"]
inputs = { x = "flight.v" }
"""
FILES = {
    # As slow as its second number says.
    ("slow", "default"): onnx_models.looping(2, turns_at=1),
    ("fast", "default"): onnx_models.mlp((2, 8, 1), seed=1),
}
#: What a run of it takes then.
LONG_S = 0.25
CLIENTS = 24
MAX_WAITING = 8


@pytest.fixture(scope="module")
def edge(redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """The pair is everybody's, so this file empties it first."""
    project = EdgeProject.declare(
        tmp_path_factory.mktemp("crowd"), redis_pair, MANIFEST, {}, max_waiting_keys=MAX_WAITING
    )
    project.store.call("FLUSHALL")
    for (model, variant), content in FILES.items():
        project.registry.publish(model, variant, content, now_ms=1)
    names = [f"F{i}" for i in range(400)]
    assert not project.features.put("flight", [Row(name, {"v": [1.0, 2.0]}, 1) for name in names]).rejected
    project.replicate()
    with edge_process(project.settings) as running:
        yield running
    project.store.close()


def infer(client: httpx.Client, timeout_us: int = 30_000_000) -> httpx.Response:
    """One row that takes long."""
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, onnx_models.turns_in(LONG_S)]}
    body = {"inputs": [tensor], "parameters": {"timeout": timeout_us}}
    return client.post("/v2/models/slow/infer", content=json.dumps(body))


def test_what_is_too_much_is_shed_and_keys_are_answered(edge: Edge) -> None:
    """Some rows are computed, the others told when to come back; meanwhile no key waits for them."""
    assert edge.get("/v1/predict/fast/F0").status_code == 200
    done, answered = threading.Event(), list[int]()

    def ask_for_keys(client: httpx.Client) -> None:
        number = 1
        while not done.is_set() and number < 400:
            answered.append(client.get("/v1/predict/fast/F0").status_code)
            answered.append(client.get(f"/v1/predict/fast/F{number}").status_code)
            number += 1

    with httpx.Client(base_url=edge.client.base_url, timeout=60.0) as client, ThreadPoolExecutor(CLIENTS + 1) as crowd:
        keys = crowd.submit(ask_for_keys, client)
        found = list(crowd.map(infer, [client] * CLIENTS))
        done.set()
        keys.result()

    shed = [response for response in found if response.status_code == 503]
    assert {response.status_code for response in found} == {200, 503}
    assert all(response.headers["retry-after"] == "1" for response in shed)
    assert all("given rows are waiting for live inference" in response.json()["error"] for response in shed)
    assert set(answered) == {200}
    assert edge.metric("nearcast_requests_shed_total", model="slow") == len(shed)


def test_who_has_no_time_is_told_so_and_takes_nobody_along(edge: Edge) -> None:
    """Of two with the same rows, one gives up."""
    with httpx.Client(base_url=edge.client.base_url, timeout=60.0) as client, ThreadPoolExecutor(2) as pair:
        patient, hasty = pair.submit(infer, client), pair.submit(infer, client, 1000)

        assert hasty.result().status_code == 504
        assert hasty.result().json() == {"error": "no answer within the budget"}
        assert patient.result().status_code == 200
