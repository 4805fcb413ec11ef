"""No answer of another key, model, version, variant or request: what caches of inference servers get wrong.

MLServer 1.7.1 had the request's body, id included, as the key of its cache, and went on answering from it when the
model behind it had been replaced.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from deploy.local.redis_pair import RedisPair
from tests import oip_project, onnx_models
from tests.edge_process import Edge, edge_process
from tests.edge_project import EdgeProject
from tests.oip_project import direct
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

ROW = np.array([[1, 2, 3, 4]], np.float32)
X = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}


@dataclass(frozen=True)
class Scene:
    """One edge that remembers answers to tensors by content."""

    project: EdgeProject
    edge: Edge

    def ask(self, path: str, **body: object) -> dict[str, Any]:
        """What a model answers, which it must."""
        response = self.edge.client.post(f"/v2/models/{path}/infer", content=json.dumps(body))
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def tensors(self, path: str, **more: object) -> dict[str, Any]:
        """The same row for everybody."""
        return self.ask(path, inputs=[X], **more)

    def key(self, path: str, key: str = "F1", **more: Any) -> dict[str, Any]:
        """One key."""
        return self.ask(path, parameters={"key": key, **more.pop("parameters", {})}, **more)


@pytest.fixture(scope="module")
def scene(redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The pair is everybody's, so this file empties it first."""
    project = oip_project.publish(tmp_path_factory.mktemp("confusion"), redis_pair, response_cache_bytes=1 << 20)
    rows = {f"F{i}": [float(i), 2.0, 3.0, 4.0] for i in range(1, 40)}
    oip_project.put_flights(project, rows)
    with edge_process(project.settings) as edge:
        yield Scene(project, edge)
    project.store.close()


def tier(answer: dict[str, Any]) -> str:
    """Where an answer says that it is from."""
    found: str = answer["parameters"]["tier"]
    return found


def y(answer: dict[str, Any]) -> Any:
    """Output `y` with its bits."""
    (output,) = answer["outputs"]
    return np.array(output["data"], np.float32).reshape(output["shape"])


def is_what(answer: dict[str, Any], model: str, variant: str = "default", row: Any = ROW) -> bool:
    """Whether an answer is the model's own."""
    return bool(np.array_equal(y(answer), direct(model, variant, x=row)["y"]))


class TestIds:
    """A request's id is given back to whoever sent it, and is no part of what is asked."""

    def test_of_tensors(self, scene: Scene) -> None:
        """The second is a hit, with its own id; the third has none."""
        answers = [scene.tensors("later", id=name) for name in ("a", "b")] + [scene.tensors("later")]

        assert [tier(answer) for answer in answers] == ["live", "memory", "memory"]
        assert [answer.get("id") for answer in answers] == ["a", "b", None]
        assert all(is_what(answer, "later") for answer in answers)

    def test_of_keys(self, scene: Scene) -> None:
        """The same by key."""
        answers = [scene.key("later", "F2", id=name) for name in ("a", "b")]

        assert [(tier(answer), answer["id"]) for answer in answers] == [("live", "a"), ("memory", "b")]

    def test_how_a_request_is_written_is_no_part_of_it_either(self, scene: Scene) -> None:
        """Nested, binary, with a timeout or another encoding of the answer: the same rows are the same question."""
        ways: list[dict[str, object]] = [
            {"inputs": [{**X, "data": [[5, 6, 7, 8]]}]},
            {"inputs": [{**X, "data": [5, 6, 7, 8.0]}], "parameters": {"timeout": 900_000}},
            {"inputs": [{**X, "data": [5, 6, 7, 8]}], "outputs": [{"name": "y"}]},
        ]

        tiers = [tier(scene.ask("later", **way)) for way in ways]
        head = json.dumps({"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32",
                                       "parameters": {"binary_data_size": 16}}]}).encode()  # fmt: skip
        binary = scene.edge.client.post(
            "/v2/models/later/infer",
            content=head + np.array([5, 6, 7, 8], np.float32).tobytes(),
            headers={"inference-header-content-length": str(len(head))},
        )

        assert tiers == ["live", "memory", "memory"]
        assert tier(binary.json()) == "memory"


class TestModels:
    """Two models with the same inputs, asked the same."""

    def test_by_tensors(self, scene: Scene) -> None:
        """Each answers for itself, the second time from memory."""
        for expected in ("live", "memory"):
            for model in ("guess", "late"):
                answer = scene.tensors(model, id="same")
                assert (tier(answer), answer["model_name"]) == (expected, model)
                assert is_what(answer, model)

    def test_by_key(self, scene: Scene) -> None:
        """The same key of another model is another prediction."""
        row = np.array([[3, 2, 3, 4]], np.float32)
        for expected in ("live", "memory"):
            for model in ("guess", "late"):
                answer = scene.key(model, "F3", id="same")
                assert (tier(answer), answer["model_name"]) == (expected, model)
                assert is_what(answer, model, row=row)


class TestVariantsAndVersions:
    """Two variants of one model, asked the same by name and by version."""

    def test_by_tensors(self, scene: Scene) -> None:
        """A version is its variant's; both ways to name it share what is remembered."""
        row = {**X, "data": [9, 2, 3, 4]}
        expected = np.array([[9, 2, 3, 4]], np.float32)
        for tiers in (("live", "live", "memory"), ("memory", "memory", "memory")):
            default = scene.ask("late", inputs=[row])
            fast = scene.ask("late", inputs=[row], parameters={"variant": "fast"})
            second = scene.ask("late/versions/2", inputs=[row])

            assert (tier(default), tier(fast), tier(second)) == tiers
            assert [answer["model_version"] for answer in (default, fast, second)] == ["1", "2", "2"]
            assert is_what(default, "late", row=expected)
            assert is_what(fast, "late", "fast", row=expected)
            assert is_what(second, "late", "fast", row=expected)

    def test_by_key(self, scene: Scene) -> None:
        """The same for predictions of keys."""
        row = np.array([[4, 2, 3, 4]], np.float32)
        for _ in range(2):
            default = scene.key("late", "F4")
            fast = scene.key("late", "F4", parameters={"variant": "fast"})
            second = scene.key("late/versions/2", "F4")

            assert is_what(default, "late", row=row)
            assert is_what(fast, "late", "fast", row=row)
            assert is_what(second, "late", "fast", row=row)

    def test_outputs_that_are_asked_for_are_part_of_the_question(self, scene: Scene) -> None:
        """One output's answer is not the others'."""
        pixels = {"name": "img", "shape": [1, 28, 28], "datatype": "UINT8", "data": [7] * 784}

        one = scene.ask("image", inputs=[pixels], outputs=[{"name": "brightness"}])
        other = scene.ask("image", inputs=[pixels], outputs=[{"name": "scores"}])

        assert [output["name"] for output in one["outputs"]] == ["brightness"]
        assert [output["name"] for output in other["outputs"]] == ["scores"]
        assert len(other["outputs"][0]["data"]) == 10


class TestReplacedModels:
    """Another file is another model, whatever was asked before."""

    def test_a_new_version_answers_for_itself(self, scene: Scene) -> None:
        """By tensors and by key, from the moment that it says that it answers."""
        new = onnx_models.mlp((4, 8, 1), seed=77)
        for _ in range(2):
            scene.tensors("guess", id="r")
            scene.key("guess", "F5", id="r")
        scene.project.registry.publish("guess", "default", new, now_ms=2)
        scene.project.replicate()

        answer = wait_until(lambda: _of_version(scene.tensors("guess", id="r"), "2"))

        feeds = np.array([[5, 2, 3, 4]], np.float32)
        assert np.array_equal(y(answer), _run(new, ROW))
        assert np.array_equal(y(scene.key("guess", "F5", id="r")), _run(new, feeds))

    def test_unloading_and_loading_brings_in_what_is_active(
        self, own_redis_pair: RedisPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A version that was published meanwhile; nothing of the one before is left."""
        project = oip_project.publish(tmp_path, own_redis_pair, response_cache_bytes=1 << 20)
        monkeypatch.setenv("NEARCAST_ADMIN_TOKEN", oip_project.TOKEN)
        authority = {"authorization": f"Bearer {oip_project.TOKEN}"}
        with edge_process(project.settings) as edge:
            scene = Scene(project, edge)
            scene.tensors("later", id="r")
            assert edge.client.post("/v2/repository/models/later/unload", headers=authority).status_code == 200
            refused = edge.client.post("/v2/models/later/infer", content=json.dumps({"inputs": [X], "id": "r"}))
            new = onnx_models.mlp((4, 8, 1), seed=78)
            project.registry.publish("later", "default", new, now_ms=2)
            project.replicate()
            loaded = edge.client.post("/v2/repository/models/later/load", headers=authority)

            answer = scene.tensors("later", id="r")

        project.store.close()
        assert refused.status_code == 503
        assert loaded.json() == {"name": "later", "state": "READY", "version": "2"}
        assert (answer["model_version"], tier(answer)) == ("2", "live")
        assert np.array_equal(y(answer), _run(new, ROW))


def test_many_at_once_get_each_their_own(scene: Scene) -> None:
    """Keys, tensors, models and variants in one crowd, through the same batches."""
    asked = [(i, model, variant) for i in range(6, 40) for model, variant in _KINDS]

    def one(what: tuple[int, str, str]) -> bool:
        i, model, variant = what
        row = np.array([[i, 2, 3, 4]], np.float32)
        parameters: dict[str, object] = {"variant": variant}
        body: dict[str, object] = {"id": f"{i}{model}{variant}", "parameters": parameters}
        if i % 2:
            parameters["key"] = f"F{i}"
        else:
            body["inputs"] = [{**X, "data": row.tolist()}]
        answer = client.post(f"/v2/models/{model}/infer", content=json.dumps(body)).json()
        assert (answer["id"], answer["model_name"], answer["parameters"]["variant"]) == (body["id"], model, variant)
        # Rows of one run may differ from rows alone in the last bit; models and rows differ in far more.
        return np.allclose(y(answer), direct(model, variant, x=row)["y"], rtol=1e-5)

    with httpx.Client(base_url=scene.edge.client.base_url) as client, ThreadPoolExecutor(16) as crowd:
        assert all(crowd.map(one, asked * 2))


_KINDS = [("late", "default"), ("late", "fast"), ("later", "default")]


def _of_version(answer: dict[str, Any], version: str) -> dict[str, Any] | None:
    return answer if answer["model_version"] == version else None


def _run(model: bytes, row: Any) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(model).run(["y"], {"x": row})[0]
