"""`tritonclient[http]`, as it comes, against a live edge; answers are ONNX Runtime's own, bit for bit."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult, aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from deploy.local.redis_pair import RedisPair
from tests import oip_project
from tests.edge_process import Edge, edge_process
from tests.oip_project import TOKEN, direct, same_bits

pytestmark = pytest.mark.integration

RNG = np.random.default_rng(11)
X = RNG.normal(size=(5, 4)).astype(np.float32)
MIXED = {
    "a": np.array([1.5, -0.0, np.float32(3e38)], np.float32),
    "b": np.array([0.1, 1e-300, -7.0]),
    "c": np.array([-(2**31), 2**31 - 1, 0], np.int32),
    "d": np.array([2**40, -1, 5]),
    "e": np.array([True, False, True]),
    "wide": RNG.normal(size=(3, 2)),
}


@dataclass(frozen=True)
class Scene:
    """One edge and one client for all tests of this file."""

    client: InferenceServerClient
    edge: Edge

    def infer(self, model: str, feeds: dict[str, Any], *, binary: bool = True, **more: Any) -> InferResult:
        """What the server makes of some tensors."""
        return self.client.infer(model, inputs(feeds, binary=binary), **more)


def inputs(feeds: dict[str, Any], *, binary: bool = True) -> list[InferInput]:
    """Tensors as the client sends them."""
    found = []
    for name, array in feeds.items():
        tensor = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        found.append(tensor.set_data_from_numpy(array, binary_data=binary))
    return found


@pytest.fixture(scope="module")
def scene(redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The pair is everybody's, so this file empties it first."""
    project = oip_project.publish(tmp_path_factory.mktemp("triton"), redis_pair)
    oip_project.put_flights(project, {"F1": [1.0, 2.0, 3.0, 4.0], "F2": [4.0, 3.0, 2.0, 1.0]})
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NEARCAST_ADMIN_TOKEN", TOKEN)
        with edge_process(project.settings) as edge:
            client = InferenceServerClient(str(edge.client.base_url).removeprefix("http://").rstrip("/"), concurrency=8)
            yield Scene(client, edge)
            client.close()
    project.store.close()


class TestMetadata:
    def test_the_server_lives_is_ready_and_says_what_it_is(self, scene: Scene) -> None:
        """The name, and the extensions that are served."""
        found = scene.client.get_server_metadata()

        assert scene.client.is_server_live()
        assert scene.client.is_server_ready()
        assert found["name"] == "nearcast"
        assert {"binary_tensor_data", "statistics", "model_repository"} <= set(found["extensions"])

    def test_a_model_says_what_it_takes_and_gives(self, scene: Scene) -> None:
        """Names, types and shapes of the ONNX file; text is BYTES, an open batch -1."""
        found = scene.client.get_model_metadata("tagged")

        assert found["name"] == "tagged"
        assert found["versions"] == ["1"]
        assert found["inputs"] == [
            {"name": "name", "datatype": "BYTES", "shape": [-1, 1]},
            {"name": "n", "datatype": "INT64", "shape": [-1, 1]},
        ]
        assert [output["datatype"] for output in found["outputs"]] == ["BYTES", "INT64"]

    def test_declared_outputs_are_what_it_gives(self, scene: Scene) -> None:
        """A model that declares outputs has these, and not those of its file."""
        found = scene.client.get_model_metadata("seen")

        assert found["outputs"] == [
            {"name": "digit", "datatype": "INT64", "shape": [-1]},
            {"name": "light", "datatype": "FP32", "shape": [-1]},
        ]

    def test_readiness_is_told_by_model_and_version(self, scene: Scene) -> None:
        """What is published, by both; nothing else."""
        assert scene.client.is_model_ready("late")
        assert scene.client.is_model_ready("late", "2")
        assert not scene.client.is_model_ready("late", "9")
        assert not scene.client.is_model_ready("unborn")
        assert not scene.client.is_model_ready("nobody")

    def test_the_configuration_is_triton_s(self, scene: Scene) -> None:
        """Dims without the batch axis where the whole model is batched."""
        batched, shared = scene.client.get_model_config("late"), scene.client.get_model_config("scaled")

        assert batched["max_batch_size"] == 1000
        assert batched["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [4]}]
        assert (shared["max_batch_size"], shared["input"][0]["dims"]) == (0, [-1, 3])

    def test_the_configuration_names_the_file(self, scene: Scene) -> None:
        """Each version's own, by which answers are remembered, too."""
        files = [scene.client.get_model_config("late", version)["parameters"]["sha256"] for version in ("1", "2")]

        expected = [hashlib.sha256(oip_project.FILES["late", variant]).hexdigest() for variant in ("default", "fast")]
        assert [file["string_value"] for file in files] == expected


class TestInfer:
    @pytest.mark.parametrize("binary", [True, False])
    @pytest.mark.parametrize("binary_answer", [True, False])
    def test_a_batch_of_floats(self, scene: Scene, binary: bool, binary_answer: bool) -> None:
        """In both encodings, either way."""
        wanted = [InferRequestedOutput("y", binary_data=binary_answer)]

        result = scene.infer("late", {"x": X}, binary=binary, outputs=wanted)

        assert same_bits(result.as_numpy("y"), direct("late", x=X)["y"])
        assert ("data" in result.get_output("y")) is not binary_answer

    @pytest.mark.parametrize("binary", [True, False])
    def test_every_type_of_number_and_bools(self, scene: Scene, binary: bool) -> None:
        """Six inputs of five types, all but the last without a second axis."""
        result = scene.infer("mixed", MIXED, binary=binary)

        assert same_bits(result.as_numpy("total"), direct("mixed", **MIXED)["total"])

    @pytest.mark.parametrize("binary", [True, False])
    def test_text_and_whole_numbers(self, scene: Scene, binary: bool) -> None:
        """Empty text, letters of any alphabet, and numbers that no float holds."""
        names = np.array([["UA"], [""], ["Zürich 東京"]], object)
        numbers = np.array([[2**53 + 1], [-(2**63)], [0]])

        result = scene.infer("tagged", {"name": names, "n": numbers}, binary=binary)

        assert [text.decode() for text in result.as_numpy("name_out")[:, 0]] == names[:, 0].tolist()
        assert same_bits(result.as_numpy("next"), numbers + 1)

    def test_bytes_and_several_outputs(self, scene: Scene) -> None:
        """Pixels in; floats and bools out."""
        pixels = RNG.integers(0, 256, (2, 28, 28)).astype(np.uint8)

        result = scene.infer("image", {"img": pixels})

        expected = direct("image", img=pixels)
        assert all(same_bits(result.as_numpy(name), expected[name]) for name in ("scores", "brightness", "mask"))

    def test_half_precision_is_binary_only(self, scene: Scene) -> None:
        """As binary data it keeps its bits; as JSON it is refused, and so is an answer in JSON."""
        halves = np.array([[1.5, -0.1]], np.float16)

        result = scene.infer("halves", {"x": halves})

        assert same_bits(result.as_numpy("y"), direct("halves", x=halves)["y"])
        with pytest.raises(InferenceServerException, match="no form in JSON"):
            scene.infer("halves", {"x": halves}, outputs=[InferRequestedOutput("y", binary_data=False)])
        with pytest.raises(InferenceServerException, match="no form in JSON"):
            scene.infer("halves", {"x": halves}, binary=False)

    def test_a_scalar_that_holds_for_all_rows(self, scene: Scene) -> None:
        """What has no batch axis in the file has none in the request, nor in the answer."""
        feeds = {"x": X[:, :3].copy(), "scale": np.array(2.5, np.float32)}

        result = scene.infer("scaled", feeds)

        expected = direct("scaled", **feeds)
        assert same_bits(result.as_numpy("y"), expected["y"])
        assert same_bits(result.as_numpy("twice"), expected["twice"])

    def test_declared_outputs_are_made_of_the_file_s(self, scene: Scene) -> None:
        """The greatest score's position, and an output under another name."""
        pixels = RNG.integers(0, 256, (3, 28, 28)).astype(np.uint8)

        result = scene.infer("seen", {"img": pixels})

        expected = direct("seen", img=pixels)
        assert result.as_numpy("digit").tolist() == expected["scores"].argmax(axis=1).tolist()
        assert same_bits(result.as_numpy("light"), expected["brightness"])

    def test_a_version_of_the_path_is_the_one_that_answers(self, scene: Scene) -> None:
        """And says so."""
        first, second = (scene.infer("late", {"x": X}, model_version=version) for version in ("1", "2"))

        assert (first.get_response()["model_version"], second.get_response()["model_version"]) == ("1", "2")
        assert same_bits(first.as_numpy("y"), direct("late", x=X)["y"])
        assert same_bits(second.as_numpy("y"), direct("late", "fast", x=X)["y"])

    @pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
    def test_bodies_may_be_compressed_both_ways(self, scene: Scene, algorithm: str) -> None:
        """A mask of 28 by 28 comes back much smaller; lengths are those of what was compressed."""
        pixels = np.zeros((4, 28, 28), np.uint8)

        result = scene.infer(
            "image",
            {"img": pixels},
            request_compression_algorithm=algorithm,
            response_compression_algorithm=algorithm,
        )

        expected = direct("image", img=pixels)
        assert all(same_bits(result.as_numpy(name), expected[name]) for name in ("scores", "brightness", "mask"))

    def test_requests_at_the_same_time_get_each_their_own(self, scene: Scene) -> None:
        """Those that share a batch, too."""
        pending = [scene.client.async_infer("later", inputs({"x": X + i}), request_id=str(i)) for i in range(20)]

        results = [one.get_result() for one in pending]

        for i, result in enumerate(results):
            assert result.get_response()["id"] == str(i)
            np.testing.assert_allclose(result.as_numpy("y"), direct("later", x=X + i)["y"], rtol=1e-5)


async def test_the_client_for_event_loops(scene: Scene) -> None:
    """`tritonclient.http.aio`, many requests at once and compressed both ways."""
    async with aio.InferenceServerClient(str(scene.edge.client.base_url).removeprefix("http://").rstrip("/")) as client:
        feeds = [{"x": X + i} for i in range(20)]
        compressed = {"request_compression_algorithm": "gzip", "response_compression_algorithm": "deflate"}
        results = await asyncio.gather(*(client.infer("later", inputs(each), **compressed) for each in feeds))
        with warnings.catch_warnings():
            # It looks at the status and drops what it has not read, which aiohttp warns of whenever that is collected.
            warnings.simplefilter("ignore", ResourceWarning)
            ready = await client.is_model_ready("later")
            gc.collect()

    assert ready
    for each, result in zip(feeds, results, strict=True):
        np.testing.assert_allclose(result.as_numpy("y"), direct("later", **each)["y"], rtol=1e-5)


class TestKeys:
    def test_a_key_goes_the_way_of_every_other_prediction(self, scene: Scene) -> None:
        """Computed once, then remembered; `GET` finds the same in memory."""
        first = scene.client.infer("later", [], parameters={"key": "F2"})
        second = scene.client.infer("later", [], parameters={"key": "F2"})
        got = scene.edge.get("/v1/predict/later/F2")

        row = np.array([[4.0, 3.0, 2.0, 1.0]], np.float32)
        assert [r.get_response()["parameters"]["tier"] for r in (first, second)] == ["live", "memory"]
        assert same_bits(first.as_numpy("y"), direct("later", x=row)["y"])
        assert same_bits(second.as_numpy("y"), first.as_numpy("y"))
        assert "nearcast-memory; hit" in got.headers["cache-status"]

    def test_declared_outputs_of_a_key_are_those_of_its_tensors(self, scene: Scene) -> None:
        """Labels are text, and a map of class to probability its JSON."""
        row = np.array([[1.0, 2.0, 3.0, 4.0]], np.float32)

        by_key = scene.client.infer("named", [], parameters={"key": "F1"})
        by_row = scene.infer("named", {"x": row})

        for name in ("best", "chances"):
            assert by_key.as_numpy(name).tolist() == by_row.as_numpy(name).tolist()

    def test_a_key_without_a_row_is_an_error(self, scene: Scene) -> None:
        """Which says what is missing."""
        with pytest.raises(InferenceServerException, match="no row for flight 'F9'"):
            scene.client.infer("later", [], parameters={"key": "F9"})

    def test_a_timeout_is_the_budget(self, scene: Scene) -> None:
        """A microsecond is over before anything is computed; a second is enough."""
        with pytest.raises(InferenceServerException, match="within the budget"):
            scene.infer("late", {"x": X}, timeout=1)

        assert scene.infer("late", {"x": X}, timeout=1_000_000).as_numpy("y").shape == (5, 1)


class TestTroubles:
    def test_an_error_s_text_reaches_the_client(self, scene: Scene) -> None:
        """With its status."""
        with pytest.raises(InferenceServerException) as caught:
            scene.infer("late", {"x": X[:, :3].copy()})

        assert caught.value.status() == "400"
        assert caught.value.message() == "input 'x' has shape [5, 3], the model takes [-1, 4]"

    def test_a_row_that_the_model_refuses(self, scene: Scene) -> None:
        """Its category is unknown: the caller's affair, and its neighbours' answers are theirs."""
        good, bad = ({"carrier": np.array([name], object)} for name in ("UA", "XX"))
        pending = [scene.client.async_infer("strict", inputs(feeds)) for feeds in (good, bad, good)]

        first, last = pending[0].get_result(), pending[2].get_result()

        assert same_bits(first.as_numpy("hot"), np.array([[1.0, 0.0]], np.float32))
        assert same_bits(last.as_numpy("hot"), first.as_numpy("hot"))
        with pytest.raises(InferenceServerException, match="the model failed: in OneHotEncoder"):
            pending[1].get_result()

    def test_unknown_models_and_versions(self, scene: Scene) -> None:
        """The text lists what there is."""
        with pytest.raises(InferenceServerException, match=r"this project has: .*late"):
            scene.infer("nobody", {"x": X})
        with pytest.raises(InferenceServerException, match="version 9 is not ready here; ready: 1, 2"):
            scene.infer("late", {"x": X}, model_version="9")


class TestManagement:
    def test_statistics_grow_with_what_is_asked(self, scene: Scene) -> None:
        """Requests, failures, rows, runs, and answers that were there already."""
        before = _counts(scene, "guess")
        for _ in range(2):
            scene.infer("guess", {"x": X})
        for _ in range(3):
            scene.client.infer("guess", [], parameters={"key": "F1"})
        with pytest.raises(InferenceServerException):
            scene.infer("guess", {})

        after = _counts(scene, "guess")

        grown = {name: after[name] - before[name] for name in after}
        assert grown == {"success": 5, "fail": 1, "hits": 2, "misses": 3, "rows": 11, "runs": 3}

    def test_a_version_s_statistics_are_its_variant_s(self, scene: Scene) -> None:
        """What the other variant has answered is none of its business."""
        (before,) = scene.client.get_inference_statistics("late", "2")["model_stats"]
        scene.infer("late", {"x": X})
        scene.infer("late", {"x": X}, model_version="2")

        (after,) = scene.client.get_inference_statistics("late", "2")["model_stats"]

        assert after["version"] == "2"
        assert after["inference_stats"]["success"]["count"] == before["inference_stats"]["success"]["count"] + 1

    def test_all_models_have_statistics(self, scene: Scene) -> None:
        """In one document."""
        names = [each["name"] for each in scene.client.get_inference_statistics()["model_stats"]]

        assert {"late", "later", "image"} <= set(names)

    def test_the_index_lists_every_version(self, scene: Scene) -> None:
        """And what keeps a model from being ready."""
        index = scene.client.get_model_repository_index()

        assert {"name": "late", "version": "2", "state": "READY"} in index
        assert {"name": "unborn", "state": "UNAVAILABLE", "reason": "nothing published"} in index

    def test_a_model_is_taken_out_of_service_and_put_back(self, scene: Scene) -> None:
        """By whoever has the token; meanwhile no door answers for it, and all do for the others."""
        with pytest.raises(InferenceServerException, match="admin token"):
            scene.client.unload_model("scaled")
        authority = {"Authorization": f"Bearer {TOKEN}"}
        feeds = {"x": X[:, :3].copy(), "scale": np.array(2.5, np.float32)}

        scene.client.unload_model("scaled", headers=authority)

        assert not scene.client.is_model_ready("scaled")
        with pytest.raises(InferenceServerException, match="taken out of this node's service"):
            scene.infer("scaled", feeds)
        assert scene.edge.get("/v1/predict/scaled/F1").status_code == 503
        assert scene.client.is_model_ready("late")
        scene.client.load_model("scaled", headers=authority)
        assert same_bits(scene.infer("scaled", feeds).as_numpy("y"), direct("scaled", **feeds)["y"])


def _counts(scene: Scene, model: str) -> dict[str, int]:
    (found,) = scene.client.get_inference_statistics(model)["model_stats"]
    stats = found["inference_stats"]
    return {
        "success": stats["success"]["count"],
        "fail": stats["fail"]["count"],
        "hits": stats["cache_hit"]["count"],
        "misses": stats["cache_miss"]["count"],
        "rows": found["inference_count"],
        "runs": found["execution_count"],
    }
