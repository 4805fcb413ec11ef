"""The Open Inference Protocol over plain HTTP: what clients of every kind see, above all those that get it wrong."""

from __future__ import annotations

import gzip
import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import httpx
import numpy as np
import pytest

from deploy.local.redis_pair import RedisPair
from precompute.hot_counter import Window
from precompute.keys import hot_windows_key
from tests import oip_project
from tests.edge_process import Edge, edge_process
from tests.edge_project import EdgeProject
from tests.http_wire import request, wire
from tests.oip_project import direct
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

MAX_BODY_BYTES = 50_000
INFER = "/v2/models/late/infer"
X = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}


class Scene:
    """One edge for all tests of this file."""

    def __init__(self, project: EdgeProject, edge: Edge) -> None:
        self.project, self.edge = project, edge

    def post(self, path: str, document: object = None, *, content: bytes = b"", **headers: str) -> httpx.Response:
        """One POST; nothing is said of its type."""
        body = content if document is None else json.dumps(document).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.edge.client.post(path, content=body, headers=named)

    def infer(self, *inputs: dict[str, object], model: str = "late", **more: object) -> dict[str, Any]:
        """What a model answers, which it must."""
        response = self.post(f"/v2/models/{model}/infer", {"inputs": inputs, **more})
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def hot(self, model: str) -> Counter[str]:
        """What has been flushed of its hot keys."""
        windows = map(Window.parse, self.project.store.call("LRANGE", hot_windows_key(model), 0, -1))
        return sum((Counter(window.counts) for window in windows if window is not None), Counter[str]())


@pytest.fixture(scope="module")
def scene(redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The pair is everybody's, so this file empties it first."""
    directory = tmp_path_factory.mktemp("oip")
    project = oip_project.publish(
        directory, redis_pair, max_body_bytes=MAX_BODY_BYTES, max_keys_per_request=100, hot_flush_s=0.1
    )
    oip_project.put_flights(project, {"F1": [1.0, 2.0, 3.0, 4.0], "F2": [4.0, 3.0, 2.0, 1.0]})
    with edge_process(project.settings) as edge:
        yield Scene(project, edge)
    project.store.close()


def y(answer: dict[str, Any]) -> list[float]:
    """The elements of output `y`."""
    found: list[float] = next(output["data"] for output in answer["outputs"] if output["name"] == "y")
    return found


class TestRules:
    def test_nothing_need_be_said_of_the_body_s_type(self, scene: Scene) -> None:
        """Clients send JSON without a `Content-Type`, and binary data with any."""
        body = json.dumps({"inputs": [X]}).encode()
        address = str(scene.edge.client.base_url)

        with wire(address) as connection:
            connection.send(request("POST", INFER, [f"Content-Length: {len(body)}"], body))
            response = connection.response()

        assert response.status == 200
        assert response.headers["content-type"] == "application/json"
        assert json.loads(response.body)["model_name"] == "late"

    def test_health_is_told_in_json(self, scene: Scene) -> None:
        """Clients look at the members."""
        assert scene.edge.get("/v2/health/live").json() == {"live": True}
        assert scene.edge.get("/v2/health/ready").json() == {"live": True, "ready": True}

    def test_an_answer_names_its_model_version_and_tier(self, scene: Scene) -> None:
        """And the variant."""
        answer = scene.infer(X)

        assert (answer["model_name"], answer["model_version"]) == ("late", "1")
        assert answer["parameters"] == {"tier": "live", "variant": "default"}
        assert answer["outputs"][0]["datatype"] == "FP32"
        assert answer["outputs"][0]["shape"] == [1, 1]

    def test_an_id_comes_back_and_nothing_else_does(self, scene: Scene) -> None:
        """Even an empty one; without one there is none."""
        assert scene.infer(X, id="seven")["id"] == "seven"
        assert scene.infer(X, id="")["id"] == ""
        assert "id" not in scene.infer(X)

    def test_a_variant_may_be_named(self, scene: Scene) -> None:
        """Among the parameters, as long as the path names none of another."""
        answer = scene.infer(X, parameters={"variant": "fast"})

        assert answer["model_version"] == "2"
        assert y(answer) == pytest.approx(direct("late", "fast", x=np.array([[1, 2, 3, 4]], np.float32))["y"][0])
        odd = scene.post("/v2/models/late/versions/1/infer", {"inputs": [X], "parameters": {"variant": "fast"}})
        assert (odd.status_code, odd.json()["error"]) == (400, "version 1 is one of variant 'default', not 'fast'")

    def test_a_default_is_told_as_such(self, scene: Scene) -> None:
        """Where nothing can be computed in time, a declared default is the answer: stale, and whatever it lacks."""
        answer = scene.infer(model="guess", parameters={"key": "F2", "timeout": 1})

        assert answer["parameters"] == {"tier": "default", "variant": "default", "stale": True}
        assert y(answer) == [0.5]

    def test_the_cached_way_may_be_asked_to_compute_anew(self, scene: Scene) -> None:
        """As with `GET`."""
        body = {"parameters": {"key": "F1"}}
        path = "/v2/models/later/infer"
        scene.post(path, body)

        again = scene.post(path, body, cache_control="no-cache").json()
        after = scene.post(path, body).json()

        assert (again["parameters"]["tier"], after["parameters"]["tier"]) == ("live", "memory")

    def test_bodies_may_be_compressed(self, scene: Scene) -> None:
        """Both ways, and the answer says how."""
        many = {**X, "shape": [100, 4], "data": [1, 2, 3, 4] * 100}
        body = gzip.compress(json.dumps({"inputs": [many]}).encode())

        response = scene.post(INFER, content=body, content_encoding="gzip", accept_encoding="gzip")

        assert response.headers["content-encoding"] == "gzip"
        assert response.headers["vary"] == "accept-encoding"
        assert len(y(response.json())) == 100

    def test_keys_are_counted_as_hot(self, scene: Scene) -> None:
        """Whichever door they come through."""
        for _ in range(3):
            scene.post("/v2/models/later/infer", {"parameters": {"key": "F2"}})

        scene.edge.wait_for_metric("nearcast_requests_total", 3, model="later")
        wait_until(lambda: scene.hot("later")["F2"] == 3)


def _bomb() -> bytes:
    return gzip.compress(json.dumps({"inputs": [{**X, "data": [0] * 1_000_000}]}).encode())


BAD: dict[str, tuple[str, bytes, dict[str, str], int, str]] = {
    "no JSON": (INFER, b"{", {}, 400, "the request's JSON"),
    "nothing": (INFER, b"", {}, 400, "the request's JSON"),
    "no inputs": (INFER, b"{}", {}, 400, "input 'x' is missing; the model takes: x"),
    "too large": (INFER, bytes(MAX_BODY_BYTES + 1), {}, 413, "the limit is 50,000"),
    "a bomb": (INFER, _bomb(), {"content-encoding": "gzip"}, 413, "unfolds to more than 50,000 bytes"),
    "no gzip": (INFER, b"{}", {"content-encoding": "gzip"}, 400, "the body is no gzip"),
    "brotli": (INFER, b"{}", {"content-encoding": "br"}, 415, "gzip, deflate or neither"),
    "length beyond the body": (INFER, b"{}", {"inference-header-content-length": "3"}, 400, "no length within a body"),
    "bytes behind the JSON": (
        INFER,
        json.dumps({"inputs": [X]}).encode() + b"xyz",
        {"inference-header-content-length": str(len(json.dumps({"inputs": [X]})))},
        400,
        "3 bytes stand behind",
    ),
    "key that is no text": (INFER, b'{"parameters": {"key": 7}}', {}, 400, "parameter 'key' must be a string"),
    "key of another shape": (INFER, b'{"parameters": {"key": "a:b"}}', {}, 404, "2 part(s) instead of 1"),
    "key without a row": (INFER, b'{"parameters": {"key": "F9"}}', {}, 422, "no row for flight 'F9'"),
    "key and inputs": (
        INFER,
        json.dumps({"inputs": [X], "parameters": {"key": "F1"}}).encode(),
        {},
        400,
        "a key or inputs, not both",
    ),
    "variant that is none": (
        INFER,
        json.dumps({"inputs": [X], "parameters": {"variant": "slow"}}).encode(),
        {},
        400,
        "no variant 'slow'; it has: default, fast",
    ),
    "sequences": (
        INFER,
        json.dumps({"inputs": [X], "parameters": {"sequence_id": 4}}).encode(),
        {},
        400,
        "sequences are not served",
    ),
    "nested parameter": (INFER, b'{"parameters": {"a": []}}', {}, 400, "$.parameters"),
    "unknown model": ("/v2/models/nobody/infer", b"{}", {}, 404, "this project has: "),
    "unknown version": ("/v2/models/late/versions/77/infer", b"{}", {}, 404, "version 77 is not ready here"),
    "version that is no number": ("/v2/models/late/versions/%C2%B2/infer", b"{}", {}, 400, "is no number"),
    "nothing published": ("/v2/models/unborn/infer", b"{}", {}, 503, "nothing published"),
    "unknown path": ("/v2/models/late/guess", b"{}", {}, 404, "no such path"),
    "bad escape": ("/v2/models/%zz/infer", b"{}", {}, 400, "bad percent-encoding"),
    "load without a token": ("/v2/repository/models/late/load", b"{}", {}, 403, "NEARCAST_ADMIN_TOKEN"),
    "v1 of nobody": ("/v1/models/nobody:predict", b"{}", {}, 404, "this project has: "),
    "v1 without instances": ("/v1/models/late:predict", b"{}", {}, 400, "the body must be JSON"),
}


class TestMistakes:
    @pytest.mark.parametrize(("path", "body", "headers", "status", "says"), BAD.values(), ids=BAD)
    def test_a_mistake_is_told_in_words(
        self, scene: Scene, path: str, body: bytes, headers: dict[str, str], status: int, says: str
    ) -> None:
        """One string under `error`, the right status, and the connection goes on."""
        response = scene.edge.client.post(path, content=body, headers=headers)

        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/json"
        assert list(response.json()) == ["error"]
        assert says in response.json()["error"]
        assert scene.infer(X)["model_name"] == "late"

    @pytest.mark.parametrize("path", ["/v2", "/v2/models/late", "/v2/health/ready", "/v2/models/late/stats"])
    def test_what_is_only_read_cannot_be_posted(self, scene: Scene, path: str) -> None:
        """405, with what may be done."""
        response = scene.post(path, {})

        assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")
        assert response.json() == {"error": "this path takes GET and HEAD"}

    def test_a_client_that_leaves_in_the_middle_harms_nobody(self, scene: Scene) -> None:
        """Its half body is forgotten."""
        with wire(str(scene.edge.client.base_url)) as connection:
            connection.send(request("POST", INFER, ["Content-Length: 100"], b'{"inputs": ['))

        assert scene.infer(X)["model_name"] == "late"

    def test_mistakes_of_a_crowd_change_nobody_else_s_answers(self, scene: Scene) -> None:
        """Whatever comes beside them, good requests get their own rows."""
        stop, asked = threading.Event(), count()

        def spoil(what: tuple[str, bytes, dict[str, str], int, str]) -> set[int]:
            path, body, headers, _, _ = what
            statuses = set[int]()
            while not stop.is_set():
                statuses.add(client.post(path, content=body, headers=headers).status_code)
                next(asked)
            return statuses

        with httpx.Client(base_url=scene.edge.client.base_url) as client, ThreadPoolExecutor(len(BAD)) as crowd:
            spoilt = crowd.map(spoil, BAD.values())
            rows = [[float(i), 2.0, 3.0, 4.0] for i in range(60)]
            found = [y(scene.infer({**X, "data": row}))[0] for row in rows]
            wait_until(lambda: next(asked) > 2 * len(BAD))
            stop.set()
            statuses = set[int]().union(*spoilt)

        expected = direct("late", x=np.array(rows, np.float32))["y"][:, 0]
        assert np.allclose(found, expected, rtol=1e-5)
        assert statuses == {status for _, _, _, status, _ in BAD.values()}

    def test_failures_are_counted_by_status(self, scene: Scene) -> None:
        """Of models that are declared; of others together."""
        before = scene.edge.metric("nearcast_errors_total", model="mixed", status="400")

        scene.post("/v2/models/mixed/infer", {})

        scene.edge.wait_for_metric("nearcast_errors_total", before + 1, model="mixed", status="400")


class TestFirstVersion:
    def test_rows_in_predictions_out(self, scene: Scene) -> None:
        """One by one what the model says of each."""
        rows = [[1, 2, 3, 4], [4, 3, 2, 1]]

        found = scene.post("/v1/models/late:predict", {"instances": rows}).json()

        expected = direct("late", x=np.array(rows, np.float32))["y"]
        assert np.array_equal(np.array(found["predictions"], np.float32), expected)

    def test_get_of_it_is_no_prediction(self, scene: Scene) -> None:
        """405, as the protocol's clients read it."""
        response = scene.edge.get("/v1/models/late:predict")

        assert response.status_code == 405
        assert response.json() == {"error": "this path takes POST"}
