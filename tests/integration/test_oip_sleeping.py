"""Models for which there is no room until somebody asks: every door of the protocol finds them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from deploy.local.redis_pair import RedisPair
from tests import oip_project
from tests.edge_process import Edge, edge_process
from tests.oip_project import FILES, direct

pytestmark = pytest.mark.integration

MODELS = ("late", "later", "guess")
#: What one is reckoned to take before it is measured is 0.3 MiB, and what is measured may be 1 MiB.
MEMORY_BYTES = 3 << 20
ROW = [1.0, 2.0, 3.0, 4.0]
X = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": ROW}


@pytest.fixture
def edge(redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """It has no room for all models, and has just been started; the pair is everybody's, so it is emptied."""
    project = oip_project.publish(tmp_path_factory.mktemp("sleeping"), redis_pair, model_memory_bytes=MEMORY_BYTES)
    oip_project.put_flights(project, {"F1": ROW})
    with edge_process(project.settings) as running:
        yield running
    project.store.close()


def value(edge: Edge, model: str, body: dict[str, object]) -> float:
    """Output `y` of one row."""
    response = edge.client.post(f"/v2/models/{model}/infer", content=json.dumps(body))
    assert response.status_code == 200, response.text
    found: float = response.json()["outputs"][0]["data"][0]
    return found


def test_each_is_loaded_for_whoever_asks(edge: Edge) -> None:
    """By tensors and by key, in turns; each answers for itself."""
    for model in (*MODELS, *MODELS):
        expected = direct(model, x=np.array([ROW], np.float32))["y"][0, 0]

        assert np.float32(value(edge, model, {"inputs": [X]})) == expected
        assert np.float32(value(edge, model, {"parameters": {"key": "F1"}})) == expected


def test_a_key_that_was_computed_elsewhere_is_told_as_tensors(edge: Edge) -> None:
    """Its model has never been loaded here, but what it gives has to be known."""
    got = edge.client.post("/v1/models/later:predict", content=json.dumps({"instances": [ROW]}))

    assert np.float32(got.json()["predictions"][0][0]) == direct("later", x=np.array([ROW], np.float32))["y"][0, 0]


def test_metadata_is_told_of_all(edge: Edge) -> None:
    """And all of them are ready: who asks is answered."""
    loads = edge.metric("nearcast_model_loads_total")
    for model, _ in FILES:
        assert edge.get(f"/v2/models/{model}/ready").status_code == 200
        assert edge.get(f"/v2/models/{model}").json()["inputs"]

    assert edge.metric("nearcast_model_loads_total") > loads


def test_who_cannot_wait_for_it_is_told_so(edge: Edge) -> None:
    """A budget is one for loading, too."""
    body = {"inputs": [X], "parameters": {"timeout": 1}}

    response = edge.client.post("/v2/models/guess/infer", content=json.dumps(body))

    assert response.status_code == 504
    assert "budget" in response.json()["error"]
