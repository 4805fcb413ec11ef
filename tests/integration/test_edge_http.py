"""A real edge over real sockets: what clients of every kind see."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from deploy.local.redis_pair import RedisPair
from precompute import dead_letters
from tests.edge_process import Edge, edge_process, tier
from tests.edge_project import EdgeProject, direct, graph
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

MAX_BODY_BYTES = 20_000


class Scene:
    """One edge for all tests of this file; each test has flights of its own."""

    def __init__(self, project: EdgeProject, edge: Edge) -> None:
        self.project, self.edge = project, edge
        self._flights = 0

    def flights(self, count: int) -> list[str]:
        """New flights from EWR, as keys of model `late`; flight n has distance n."""
        numbers = range(self._flights, self._flights + count)
        self._flights += count
        names = [f"F{n}" for n in numbers]
        self.project.put_flights(names, [float(n) for n in numbers])
        return [f"{name}:EWR" for name in names]

    def expected(self, key: str, hour: int = 12, variant: str = "default") -> np.float32:
        """What the model itself says of a key."""
        number = float(key.split(":", maxsplit=1)[0][1:])
        found: np.float32 = direct(graph("late", variant), [[number, 0.5, 3.0, hour]])[0]
        return found


@pytest.fixture(scope="module")
def scene(redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The pair is everybody's, so this file empties it first."""
    directory = tmp_path_factory.mktemp("edge")
    EdgeProject.publish(directory, redis_pair).store.call("FLUSHALL")
    project = EdgeProject.publish(directory, redis_pair, max_body_bytes=MAX_BODY_BYTES, max_keys_per_request=100)
    project.put_weather({"EWR": 3.0})
    with edge_process(project.settings) as edge:
        yield Scene(project, edge)
    project.store.close()


def path(key: str, query: str = "") -> str:
    """Where a prediction of model `late` is."""
    return f"/v1/predict/late/{key}" + (f"?{query}" if query else "")


def value(response: httpx.Response) -> np.float32:
    """The output of an answer, which must be one."""
    assert response.status_code == 200, response.text
    return np.float32(response.json()["outputs"]["y"])


class TestOneKey:
    def test_the_first_ask_is_computed_and_the_second_remembered(self, scene: Scene) -> None:
        """The right number, from live and from memory, with the same body."""
        (key,) = scene.flights(1)

        first, second = scene.edge.get(path(key)), scene.edge.get(path(key))

        assert (tier(first), tier(second)) == ("live", "memory")
        assert value(first) == value(second) == scene.expected(key)
        assert first.content == second.content
        assert first.headers["content-type"] == "application/json"

    def test_the_body_says_what_it_is(self, scene: Scene) -> None:
        """Model, version, variant and the key as we spell it, context included."""
        (key,) = scene.flights(1)

        body = scene.edge.get(path(key, "hour=03")).json()

        assert {name: body[name] for name in ("model", "version", "variant", "key")} == {
            "model": "late",
            "version": 1,
            "variant": "default",
            "key": f"{key}?hour=3",
        }
        assert body["computed_at"].endswith("Z")
        assert body["as_of"] <= body["computed_at"]
        assert "stale" not in body

    def test_head_says_what_get_would(self, scene: Scene) -> None:
        """The same headers and length, and no body."""
        (key,) = scene.flights(1)
        scene.edge.get(path(key))

        got, headed = scene.edge.get(path(key)), scene.edge.client.head(path(key))

        assert headed.content == b""
        for name in ("content-length", "etag", "cache-control", "content-type", "surrogate-key"):
            assert headed.headers[name] == got.headers[name]

    @pytest.mark.parametrize("given", ["{etag}", "W/{etag}", '"other", {etag}', "*"])
    def test_a_client_that_has_it_already_gets_no_body(self, scene: Scene, given: str) -> None:
        """304 with the headers that a cache updates, and the connection goes on."""
        (key,) = scene.flights(1)
        etag = scene.edge.get(path(key)).headers["etag"]

        unchanged = scene.edge.get(path(key), if_none_match=given.format(etag=etag))
        changed = scene.edge.get(path(key), if_none_match='"other"')

        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
        assert "nearcast-memory; hit" in unchanged.headers["cache-status"]
        assert changed.status_code == 200

    def test_an_etag_is_good_until_the_prediction_changes(self, scene: Scene) -> None:
        """A changed feature means a new computation, and a new tag."""
        (key,) = scene.flights(1)
        etag = scene.edge.get(path(key)).headers["etag"]
        name = key.split(":")[0]
        scene.project.put_flights([name], [500.0], event_ms=2)

        answer = wait_until(lambda: _unless(scene.edge.get(path(key), if_none_match=etag), 304))

        assert answer.headers["etag"] != etag
        assert value(answer) == direct(graph("late"), [[500.0, 0.5, 3.0, 12]])[0]

    def test_no_cache_computes_anew(self, scene: Scene) -> None:
        """Whatever memory has; the new result is what memory has from then on."""
        (key,) = scene.flights(1)
        scene.edge.get(path(key))

        again = scene.edge.get(path(key), cache_control="no-cache")
        after = scene.edge.get(path(key))

        assert (tier(again), tier(after)) == ("live", "memory")
        assert "fwd=request" in again.headers["cache-status"]
        assert after.content == again.content

    def test_a_variant_has_its_own_answers(self, scene: Scene) -> None:
        """Its own version, its own entry, its own numbers."""
        (key,) = scene.flights(1)

        plain, fast = scene.edge.get(path(key)), scene.edge.get(path(key, "variant=fast"))

        assert tier(fast) == "live"
        assert (fast.json()["variant"], fast.json()["version"]) == ("fast", 2)
        assert value(plain) == scene.expected(key)
        assert value(fast) == scene.expected(key, variant="fast") != value(plain)

    def test_a_key_may_be_written_in_any_spelling(self, scene: Scene) -> None:
        """Percent-encoded or as it stands in the store, it is one entry."""
        (key,) = scene.flights(1)
        scene.edge.get(path(key))

        spellings = [key.replace(":", "%3A"), "%46" + key[1:], f"{key}%3Fhour=12", key.replace("F", "~46")]

        assert [tier(scene.edge.get(path(spelling))) for spelling in spellings] == ["memory"] * 4

    def test_a_line_break_may_stand_in_a_key(self, scene: Scene) -> None:
        """At every door, and in its spelling for the store."""
        scene.project.put_flights(["F~0A"], [1.0])

        got = scene.edge.get(path("F%0A:EWR", "hour=2"))
        why = scene.edge.get("/v1/why/late/F%0A:EWR?hour=2")

        assert got.json()["key"] == why.json()["key"] == "F~0A:EWR?hour=2"

    def test_a_budget_that_is_over_is_said(self, scene: Scene) -> None:
        """504 with a time to come back, instead of an answer nobody wants any more."""
        (key,) = scene.flights(1)

        late = scene.edge.get(path(key, "budget_ms=0.0001"))

        assert (late.status_code, late.headers["retry-after"]) == (504, "1")


class TestContext:
    def test_it_is_part_of_the_prediction(self, scene: Scene) -> None:
        """Another hour, another number; the same hour in another spelling, the same entry."""
        (key,) = scene.flights(1)

        three, again = scene.edge.get(path(key, "hour=3")), scene.edge.get(path(key, "hour=03"))

        assert (tier(three), tier(again)) == ("live", "memory")
        assert value(three) == scene.expected(key, hour=3)

    def test_the_default_left_out_and_given_are_one_entry(self, scene: Scene) -> None:
        """Or a cache would hold everything twice."""
        (key,) = scene.flights(1)
        scene.edge.get(path(key))

        assert tier(scene.edge.get(path(key, "hour=12"))) == "memory"
        assert scene.edge.post("late", [key], context={"hour": 12}).json()["predictions"][0]["tier"] == "memory"

    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ("hour=24", "outside [0, 23]"),
            ("hour=-1", "outside [0, 23]"),
            ("hour=x", "is not a int64"),
            ("hour=1.5", "is not a int64"),
            ("hour=", "is not a int64"),
            ("minute=3", "unknown context 'minute'; this model takes: hour"),
            ("hour=3&hour=4", "given twice"),
            ("variant=fast&variant=fast", "given twice"),
            ("hour=%", "percent-encoding"),
            ("hour=%ff", "not UTF-8"),
            ("&".join(f"a{i}=1" for i in range(70)), "more than 64"),
            ("budget_ms=soon", "not a number"),
            ("budget_ms=nan", "above 0"),
            ("budget_ms=0", "above 0"),
            ("variant=slow", "it has: default, fast, planned"),
        ],
    )
    def test_a_query_that_makes_no_sense_is_refused(self, scene: Scene, query: str, said: str) -> None:
        """400, and a sentence that says what is wrong."""
        (key,) = scene.flights(1)

        refused = scene.edge.get(path(key, query))

        assert refused.status_code == 400
        assert refused.headers["content-type"] == "application/problem+json"
        assert said in refused.json()["detail"]


class TestManyKeys:
    def test_answers_come_in_the_order_asked_with_a_status_each(self, scene: Scene) -> None:
        """A bad key costs its neighbours nothing; tiers and duplicates are told apart."""
        remembered, fresh = scene.flights(2)
        scene.edge.get(path(remembered))
        keys = [fresh, "no-such-shape", remembered, "Fnone:EWR", fresh, f"{fresh}?hour=99"]

        answer = scene.edge.post("late", keys)
        found = answer.json()["predictions"]

        assert answer.status_code == 200
        assert [p["status"] for p in found] == [200, 404, 200, 422, 200, 400]
        assert [p.get("tier") for p in found] == ["live", None, "memory", None, "live", None]
        assert [np.float32(found[i]["prediction"]["outputs"]["y"]) for i in (0, 2, 4)] == [
            scene.expected(key) for key in (fresh, remembered, fresh)
        ]
        assert [p["key"] for p in found if p["status"] != 200] == ["no-such-shape", "Fnone:EWR", f"{fresh}?hour=99"]
        assert (found[3]["problem"]["view"], found[3]["problem"]["entity"]) == ("flight", "Fnone")
        assert "expected <flight>:<origin>" in found[1]["problem"]["detail"]

    def test_misses_are_one_run_of_the_model(self, scene: Scene) -> None:
        """Fifty keys nobody has asked for: one batch of fifty rows."""
        keys = scene.flights(50)
        rows, batches = (scene.edge.metric(f"nearcast_live_{what}_total") for what in ("rows", "batches"))

        scene.edge.post("late", keys)

        assert scene.edge.metric("nearcast_live_rows_total") == rows + 50
        assert scene.edge.metric("nearcast_live_batches_total") == batches + 1

    def test_context_and_variant_hold_for_all_keys(self, scene: Scene) -> None:
        """As if each had been asked alone."""
        keys = scene.flights(3)

        found = scene.edge.post("late", keys, context={"hour": 5}, variant="fast").json()["predictions"]

        assert [np.float32(p["prediction"]["outputs"]["y"]) for p in found] == [
            scene.expected(key, hour=5, variant="fast") for key in keys
        ]

    def test_a_key_may_bring_context_of_its_own(self, scene: Scene) -> None:
        """Behind its `?` or beside it, it counts more than what is said for all; its neighbours notice nothing."""
        first, second, third, fourth = scene.flights(4)
        flight, origin = fourth.split(":")
        keys = [
            first,
            f"{second}?hour=6",
            {"key": third, "context": {"hour": 7}},
            {"key": {"origin": origin, "flight": flight}, "context": {"hour": "08"}},
        ]

        found = scene.edge.post("late", keys, context={"hour": 5}).json()["predictions"]

        assert [p["prediction"]["key"] for p in found] == [
            f"{key}?hour={hour}" for key, hour in zip((first, second, third, fourth), (5, 6, 7, 8), strict=True)
        ]
        assert [np.float32(p["prediction"]["outputs"]["y"]) for p in found] == [
            scene.expected(first, 5),
            scene.expected(second, 6),
            scene.expected(third, 7),
            scene.expected(fourth, 8),
        ]

    def test_a_bad_key_in_the_long_form_costs_its_neighbours_nothing(self, scene: Scene) -> None:
        """Each is called what the client called it, and told what is wrong with it."""
        (good,) = scene.flights(1)
        keys = [
            {"key": {"flight": "UA1"}},
            {"key": {"flight": "UA1", "origin": "EWR", "dest": "ORD"}},
            {"key": good, "context": {"hour": 24}},
            {"key": f"{good}?hour=1", "context": {"hour": 1}},
            {"key": good, "context": {"day": 1}},
            {"key": good},
        ]

        found = scene.edge.post("late", keys).json()["predictions"]

        assert [p["status"] for p in found] == [404, 404, 400, 400, 400, 200]
        assert [p["key"] for p in found[:-1]] == [key["key"] for key in keys[:-1]]
        for answer, said in zip(
            found,
            ("'origin' is missing", "'dest' is no part", "outside [0, 23]", "given twice", "unknown context 'day'"),
            strict=False,
        ):
            assert said in answer["problem"]["detail"]


class TestBadInput:
    def test_all_of_it_on_one_connection_that_survives(self, scene: Scene) -> None:
        """Each gets its own 4xx, and the next request is answered as if nothing had been."""
        (key,) = scene.flights(1)
        many = "/v1/predict/late"
        asks: list[tuple[str, str, bytes, dict[str, str], int]] = [
            ("GET", "/v1/predict/nope/UA1", b"", {}, 404),
            ("GET", "/v1/predict/late/UA1", b"", {}, 404),
            ("GET", "/v1/predict/late/::", b"", {}, 404),
            ("GET", "/v1/predict/late/Fnone:EWR", b"", {}, 422),
            ("GET", "/v1/predict/late/" + "x" * 600 + ":EWR", b"", {}, 404),
            ("GET", "/v1/predict/late/%zz:EWR", b"", {}, 400),
            ("GET", "/v1/predict/late/%FF:EWR", b"", {}, 400),
            ("GET", "/v1/predict/late", b"", {}, 400),
            ("GET", "/v1/predict/late/a/b", b"", {}, 400),
            ("GET", "/v1/predict/unborn/EWR", b"", {}, 503),
            ("GET", "/v1/predict/late/" + "x" * 5000, b"", {}, 414),
            ("GET", path(key), b"", {"x-large": "y" * 17_000}, 431),
            ("GET", "/", b"", {}, 404),
            ("GET", "/livez/", b"", {}, 404),
            ("DELETE", path(key), b"", {}, 405),
            ("POST", path(key), b"{}", {}, 400),
            ("POST", many, b"", {}, 400),
            ("POST", many, b"{", {}, 400),
            ("POST", many, b"\xff\xfe", {}, 400),
            ("POST", many, b"[" * 10_000, {}, 400),
            ("POST", many, b'{"keys": []}', {}, 400),
            ("POST", many, b'{"keys": "UA1:EWR"}', {}, 400),
            ("POST", many, b'{"keys": ["a:b"], "what": 1}', {}, 400),
            ("POST", many, b'{"keys": ["a:b"], "context": {"hour": null}}', {}, 400),
            ("POST", many, b'{"keys": [{"key": "a:b", "contxt": {}}]}', {}, 400),
            ("POST", many, b'{"keys": [{"context": {}}]}', {}, 400),
            ("POST", many, b'{"keys": ["\\ud800:EWR"]}', {}, 400),
            ("POST", many, b'{"keys": [{"key": ["a", "b"]}]}', {}, 400),
            ("POST", many, json.dumps({"keys": [key] * 101}).encode(), {}, 400),
            ("POST", many, json.dumps({"keys": [key], "pad": "x" * MAX_BODY_BYTES}).encode(), {}, 413),
            ("POST", "/v1/predict/nope", b'{"keys": ["a"]}', {}, 404),
            ("POST", many, b'{"keys": ["a:b"], "variant": "nope"}', {}, 400),
            ("POST", many, b'{"keys": ["a:b"], "budget_ms": -1}', {}, 400),
        ]
        with Connection(scene.edge) as connection:
            for method, target, body, headers, wanted in asks:
                status, answered, document = connection.ask(method, target, body, headers)

                assert status == wanted, (method, target[:60], body[:60], document)
                assert answered["content-type"] == "application/problem+json"
                assert document["status"] == wanted
                assert document["detail"]
                assert connection.ask("GET", path(key))[0] == 200

    def test_an_unknown_model_lists_those_that_exist(self, scene: Scene) -> None:
        """For people and for programs."""
        document = scene.edge.get("/v1/predict/nope/UA1").json()

        assert document["models"] == ["guess", "late", "patient", "unborn"]
        assert "guess, late, patient, unborn" in document["detail"]

    def test_a_key_of_another_shape_shows_the_shape(self, scene: Scene) -> None:
        """The parts' names, in order."""
        assert "<flight>:<origin>" in scene.edge.get("/v1/predict/late/UA1").json()["detail"]

    def test_a_missing_row_names_view_and_entity(self, scene: Scene) -> None:
        """The data engineer knows where to look."""
        (key,) = scene.flights(1)

        document = scene.edge.get(path(key.replace("EWR", "XXX"))).json()

        assert (document["status"], document["view"], document["entity"]) == (422, "weather", "XXX")

    def test_a_method_that_is_not_allowed_says_which_are(self, scene: Scene) -> None:
        """RFC 9110 wants an Allow header."""
        refused = scene.edge.client.delete(path("UA1:EWR"))

        assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}

    def test_a_body_in_chunks_is_bounded_too(self, scene: Scene) -> None:
        """It announces no length, and the connection survives its end."""
        pieces = [b'{"keys": ["', *[b"x" * 1000] * 40, b'"]}']

        refused = scene.edge.client.post("/v1/predict/late", content=iter(pieces))

        assert refused.status_code == 413
        assert scene.edge.get("/livez").status_code == 200

    def test_what_is_no_http_hurts_nobody_else(self, scene: Scene) -> None:
        """Its connection ends; others do not notice."""
        for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01", b"GET\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"):
            with _connected(scene.edge) as stranger:
                stranger.sendall(garbage)
                stranger.shutdown(socket.SHUT_WR)
                assert b"500" not in _all(stranger)

        assert scene.edge.get("/livez").status_code == 200


class TestHealth:
    def test_a_running_edge_is_alive_and_ready(self, scene: Scene) -> None:
        """And says what it serves."""
        live, ready = scene.edge.get("/livez"), scene.edge.get("/readyz")

        assert (live.status_code, live.json()) == (200, {"live": True})
        assert ready.status_code == 200
        body = ready.json()
        assert (body["ready"], body["replica_connected"], body["primary_connected"]) == (True, True, True)
        assert body["lag_s"] < 5
        assert {(m["model"], m["variant"], m["version"]) for m in body["models"]} >= {("late", "fast", 2)}
        assert body["failures"] == []

    def test_counters_balance(self, scene: Scene) -> None:
        """Every key asked for is an answer of a tier or an error of a status, and has a duration."""
        one, two = scene.flights(2)

        def counted() -> dict[str, float]:
            edge = scene.edge
            return {
                "requests": edge.metric("nearcast_requests_total"),
                "hits": edge.metric("nearcast_requests_total", result="hit"),
                "misses": edge.metric("nearcast_requests_total", result="miss"),
                "errors": edge.metric("nearcast_errors_total"),
                "memory": edge.metric("nearcast_requests_total", model="late", tier="memory"),
                "live": edge.metric("nearcast_requests_total", model="late", tier="live"),
                "durations": edge.metric("nearcast_request_duration_seconds_count"),
                "not_modified": edge.metric("nearcast_not_modified_total"),
                "404": edge.metric("nearcast_errors_total", status="404"),
            }

        before = counted()
        etag = scene.edge.get(path(one)).headers["etag"]
        scene.edge.get(path(one))
        scene.edge.get(path(one), if_none_match=etag)
        scene.edge.get("/v1/predict/nope/1")
        scene.edge.post("late", [one, two, "bad", "Fnone:EWR"])
        after = counted()

        assert {name: after[name] - before[name] for name in after} == {
            "requests": 8,
            "hits": 3,
            "misses": 2,
            "errors": 3,
            "memory": 3,
            "live": 2,
            "durations": 5,
            "not_modified": 1,
            "404": 2,
        }

    def test_metrics_are_what_prometheus_reads(self, scene: Scene) -> None:
        """Its content type, its form, a help text for everything; and a HEAD for balancers."""
        page = scene.edge.get("/metrics")

        assert page.headers["content-type"].startswith("text/plain; version=")
        assert scene.edge.metric("nearcast_ready") == 1
        assert scene.edge.metric("nearcast_memory_bytes") > 0
        helped = {line.split()[2] for line in page.text.splitlines() if line.startswith("# HELP")}
        typed = {line.split()[2] for line in page.text.splitlines() if line.startswith("# TYPE")}
        assert helped == typed
        assert scene.edge.client.head("/metrics").content == b""


class TestWriteBack:
    def test_a_live_answer_reaches_the_replica(self, scene: Scene) -> None:
        """Every other edge profits from it, byte for byte."""
        (key,) = scene.flights(1)

        answer = scene.edge.get(path(key))

        stored = wait_until(lambda: scene.project.store.call("GET", f"p:late:1:{key}?hour=12"))
        assert stored.endswith(answer.content)
        ttl_ms = scene.project.store.call("PTTL", f"p:late:1:{key}?hour=12")
        assert 3_500_000 < ttl_ms <= 3_600_000

    def test_a_damaged_entry_costs_nobody_an_answer_and_is_set_aside(self, scene: Scene) -> None:
        """With its bytes, for somebody to look at; the answer is computed, and takes its place."""
        (key,) = scene.flights(1)
        name, store = f"p:late:1:{key}?hour=12", scene.project.store
        store.run([("SET", name, b"\x01\x02cut sho"), ("WAIT", 1, 10_000)])

        answer = scene.edge.get(path(key))

        assert (tier(answer), value(answer)) == ("live", scene.expected(key))
        letters = wait_until(lambda: [found for found in dead_letters.recent(store) if found.source == name])
        assert [(letter.kind, letter.content) for letter in letters] == [("entries", (b"\x01\x02cut sho",))]
        wait_until(lambda: store.call("GET", name).endswith(answer.content))


class Connection:
    """One keep-alive connection, spoken by hand; it is never opened again."""

    def __init__(self, edge: Edge) -> None:
        self._socket = _connected(edge)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def ask(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], dict[str, object]]:
        """Status, headers and JSON body of the answer."""
        lines = [f"{method} {target} HTTP/1.1", "Host: edge", *(f"{k}: {v}" for k, v in (headers or {}).items())]
        if method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        first = self._file.readline().split()
        assert first, "the connection was closed"
        answered = {}
        while line := self._file.readline().strip():
            name, _, text = line.decode().partition(": ")
            answered[name.lower()] = text
        content = self._file.read(int(answered["content-length"]))
        return int(first[1]), answered, json.loads(content)


def _connected(edge: Edge) -> socket.socket:
    url = edge.client.base_url
    return socket.create_connection((url.host, url.port or 80), timeout=10)


def _all(connection: socket.socket) -> bytes:
    found = b""
    while data := connection.recv(65536):
        found += data
    return found


def _unless(response: httpx.Response, status: int) -> httpx.Response | None:
    return None if response.status_code == status else response
