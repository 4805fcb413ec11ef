"""KServe's own client, as it comes, against a live edge; answers are ONNX Runtime's own, bit for bit."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from deploy.local.redis_pair import RedisPair
from tests import oip_project
from tests.clients.kserve_environment import calls
from tests.edge_process import edge_process
from tests.oip_project import direct, same_bits

pytestmark = pytest.mark.integration

#: As `kserve_calls` sends them.
X = np.array([[1, 2, 3, 4], [0.1, -0.0, 3e38, 1e-40]], np.float32)


@pytest.fixture(scope="module")
def found(redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came back, of one run of the client."""
    project = oip_project.publish(tmp_path_factory.mktemp("kserve"), redis_pair)
    oip_project.put_flights(project, {"F1": [1.0, 2.0, 3.0, 4.0]})
    with edge_process(project.settings) as edge:
        answers = calls(str(edge.client.base_url).rstrip("/"))
    project.store.close()
    return answers


def array(output: dict[str, Any]) -> Any:
    """An output as the client had it."""
    return np.frombuffer(base64.b64decode(output["bytes"]), output["dtype"]).reshape(output["shape"])


def test_it_sees_the_server_and_its_models(found: dict[str, Any]) -> None:
    """Alive, ready, and each model as it is."""
    names = ("live", "ready", "model_ready", "v1_model_ready", "unborn_ready")

    assert [found[name] for name in names] == [True, True, True, True, False]


@pytest.mark.parametrize("call", ["floats_json", "floats_binary", "floats_binary_output"])
def test_floats_keep_their_bits(found: dict[str, Any], call: str) -> None:
    """In JSON and as binary data."""
    answer = found[call]

    assert answer["model_name"] == "late"
    assert same_bits(array(answer["outputs"]["y"]), direct("late", x=X)["y"])


def test_the_id_of_a_request_comes_back(found: dict[str, Any]) -> None:
    """As the client gave it."""
    assert found["floats_json"]["id"] == "seven"


@pytest.mark.parametrize("call", ["texts_json", "texts_binary"])
def test_text_and_whole_numbers(found: dict[str, Any], call: str) -> None:
    """Letters of any alphabet, and numbers that no float holds."""
    outputs = found[call]["outputs"]

    assert outputs["name_out"] == {"shape": [2, 1], "texts": ["UA", "Zürich 東京"]}
    assert array(outputs["next"]).tolist() == [[2**53 + 2], [-4]]


def test_a_key_goes_the_cached_way(found: dict[str, Any]) -> None:
    """Computed once, and the same from memory."""
    first, second = found["key"]

    assert [first["parameters"]["tier"], second["parameters"]["tier"]] == ["live", "memory"]
    assert same_bits(array(first["outputs"]["y"]), direct("late", x=X[:1])["y"])
    assert second["outputs"] == first["outputs"]


def test_an_error_s_text_reaches_the_client(found: dict[str, Any]) -> None:
    """By both versions of the protocol, with its status."""
    assert "input 'x' has shape [2, 3], the model takes [-1, 4], '400 Bad Request'" in found["error"]
    assert "a request holds 1 to 1000 instances, this one 0, '400 Bad Request'" in found["v1_error"]


def test_rows_of_the_first_version(found: dict[str, Any]) -> None:
    """The value of the only input, or inputs by name; predictions likewise."""
    assert same_bits(np.array(found["v1"]["predictions"], np.float32), direct("late", x=X)["y"])
    assert found["v1_by_name"] == {"predictions": [{"name_out": ["UA"], "next": [4]}]}
