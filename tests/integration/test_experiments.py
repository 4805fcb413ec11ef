"""Experiments on real edges, with a real Redis, workers and the command."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.cli.run import run
from deploy.local.redis_pair import RedisPair
from precompute import predictions
from precompute.entry import Entry
from precompute.experiment_store import ExperimentStore
from precompute.exposures import Exposure, read_answers, read_exposures
from precompute.keys import exposures_key, hot_key
from tests import onnx_models
from tests.edge_process import Edge, address, edge_process, tier
from tests.edge_project import MANIFEST, EdgeProject, graph
from tests.http_wire import Response, Wire, get, wire
from tests.roles import role
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

FLIGHTS = [f"F{n}" for n in range(500)]
REQUESTS = 10_000
#: Requests of one packet.
PIPELINED = 50
ADD = ("experiment", "add", "faster", "late", "--arm", "control=default", "--arm", "quick=fast")

Command = Callable[..., Any]


def declared(directory: Path, pair: RedisPair, manifest: str = MANIFEST) -> EdgeProject:
    """Flights of one airport, and a model of two published variants: versions 1 and 2."""
    text = manifest.replace("max_age_s = 60.0", 'max_age_s = 60.0, refresh = "always"')
    files = {("late", variant): graph("late", variant) for variant in ("default", "fast")}
    published = EdgeProject.declare(directory, pair, text, files, look_every_s=0.2, lease_ttl_s=1.0)
    published.put_flights(FLIGHTS, [n / len(FLIGHTS) for n in range(len(FLIGHTS))])
    published.put_weather({"EWR": 0.5})
    return published


@pytest.fixture
def project(tmp_path: Path, clean_redis: RedisPair) -> Iterator[EdgeProject]:
    """The project, for a test."""
    published = declared(tmp_path, clean_redis)
    yield published
    published.store.close()


@pytest.fixture
def nearcast(project: EdgeProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command with `--json` beside the project file; returns its document."""
    monkeypatch.setenv("NEARCAST_PRIMARY_URL", project.settings.primary_url)
    monkeypatch.setenv("NEARCAST_PROJECT", str(project.settings.project))
    monkeypatch.chdir(project.settings.project.parent)

    def command(*arguments: str) -> Any:
        capsys.readouterr()
        status = run([*arguments, "--json"])
        out, err = capsys.readouterr()
        assert status == 0, err
        return json.loads(out)

    return command


class Asked:
    """What was answered, all of it."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self.said: Counter[str] = Counter()

    def get(self, path: str, **headers: str) -> httpx.Response:
        """One GET on a connection of a client library."""
        response = self._edge.get(f"/v1/predict/late/{path}", **headers)
        self.said[response.headers.get("nearcast-experiment", "")] += 1
        return response

    def all(self, connection: Wire, flights: list[str]) -> list[Response]:
        """Many GETs in a row, one packet."""
        connection.send(b"".join(get(f"/v1/predict/late/{flight}:EWR?hour=12") for flight in flights))
        responses = [connection.response() for _ in flights]
        self.said.update(response.headers.get("nearcast-experiment", "") for response in responses)
        return responses

    def until_it_runs(self, name: str = "faster") -> None:
        """Waits for the first answer of an experiment."""
        wait_until(lambda: self.get("F0:EWR").headers.get("nearcast-experiment", "").startswith(name))

    def until_it_is_over(self) -> None:
        """Waits for the first answer of none."""
        wait_until(lambda: "nearcast-experiment" not in self.get("F0:EWR").headers)


def records(project: EdgeProject, count: int, name: str = "faster") -> list[Exposure]:
    """What was recorded, once it is as much as that; more would be an error."""
    wait_until(lambda: project.store.call("XLEN", exposures_key(name)) >= count, 20.0, f"fewer than {count} records")
    found = list(read_exposures(project.store, name))
    assert len(found) == count
    return found


def test_everybody_gets_the_variant_of_their_arm_until_it_ends(project: EdgeProject, nearcast: Command) -> None:
    """10,000 requests; each is answered by the arm of its unit, says so, and leaves one record."""
    with edge_process(project.settings) as edge, wire(address(edge.role)) as connection:
        asked = Asked(edge)
        asked.until_it_is_over()
        for flight in FLIGHTS[:20] * 3:
            (before,) = asked.all(connection, [flight])
        assert "nearcast-memory; hit" in before.headers["cache-status"]
        nearcast(*ADD, "--unit", "key.flight")
        asked.until_it_runs()
        # The same packets as before, which edges remember the meaning of.
        for flight in FLIGHTS[:20] * 2:
            (after,) = asked.all(connection, [flight])
            assert "nearcast-experiment" in after.headers

        arms: dict[str, set[str]] = {}
        for at in range(0, REQUESTS, PIPELINED):
            flights = [FLIGHTS[n % len(FLIGHTS)] for n in range(at, at + PIPELINED)]
            for flight, response in zip(flights, asked.all(connection, flights), strict=True):
                arm = response.headers["nearcast-experiment"].removeprefix("faster=")
                assert json.loads(response.body)["variant"] == {"control": "default", "quick": "fast"}[arm]
                arms.setdefault(flight, set()).add(arm)

        assert all(len(found) == 1 for found in arms.values())
        quick = sum(found == {"quick"} for found in arms.values())
        assert abs(quick - 250) < 5 * math.sqrt(500 / 4)
        exposed = asked.said["faster=control"] + asked.said["faster=quick"]
        found = records(project, exposed)
        assert Counter(f"faster={one.arm}" for one in found) == Counter({n: c for n, c in asked.said.items() if n})
        assert all(arms[one.unit] == {one.arm} and one.version == {"control": 1, "quick": 2}[one.arm] for one in found)
        wait_until(lambda: sum(read_answers(project.store, "faster").by_arm.values()) == exposed)

        report = nearcast("experiment", "report", "faster")
        assert [arm["units"] for arm in report["arms"]] == [500 - quick, quick]
        assert not report["sample_ratio"]["mismatch"]
        assert report["records"] == {"kept": exposed, "gone": 0, "of_earlier_shares": 0}
        assert all(arm["hits"]["estimate"] > 0.9 and arm["p50_ms"]["low"] > 0 for arm in report["arms"])

        assert nearcast("experiment", "stop", "faster")["state"] == "over"
        asked.until_it_is_over()
        responses = asked.all(connection, FLIGHTS)
        assert {json.loads(response.body)["variant"] for response in responses} == {"default"}
        assert not any("nearcast-experiment" in response.headers for response in responses)
        # With those that were answered while the edge had not heard of the end.
        exposed = sum(count for name, count in asked.said.items() if name)
        wait_until(lambda: edge.metric("nearcast_exposures_total") == exposed)
        assert edge.metric("nearcast_exposures_dropped_total") == 0


def test_testers_choose_and_those_who_name_a_variant_take_no_part(project: EdgeProject, nearcast: Command) -> None:
    """By query and by header; marked in the answer and in the record, and none of the experiment's units."""
    nearcast(*ADD, "--unit", "header.x-user", "--override", "query.arm")
    with edge_process(project.settings) as edge:
        asked = Asked(edge)

        tester = asked.get("F1:EWR?arm=quick")
        assert tester.headers["nearcast-experiment"] == "faster=quick;override"
        assert tester.json()["variant"] == "fast"
        assert asked.get("F1:EWR?arm=control&hour=3", x_user="ann").json()["key"] == "F1:EWR?hour=3"
        wrong = edge.get("/v1/predict/late/F1:EWR?arm=fast")
        assert (wrong.status_code, wrong.json()["detail"]) == (
            400,
            "arm: no arm 'fast'; there are: faster=control, control, faster=quick, quick",
        )

        nobody = asked.get("F1:EWR")
        assert "nearcast-experiment" not in nobody.headers
        assert nobody.headers["vary"] == "x-user"
        named = edge.get("/v1/predict/late/F1:EWR?variant=fast", x_user="ann")
        assert "nearcast-experiment" not in named.headers
        assert "vary" not in named.headers

        found = records(project, 2)
        assert [(one.arm, one.unit, one.key, one.override) for one in found] == [
            ("quick", "F1:EWR", "F1:EWR?hour=12", True),
            ("control", "ann", "F1:EWR?hour=3", True),
        ]
        nearcast("experiment", "stop", "faster")
        asked.until_it_is_over()
        assert asked.get("F1:EWR?arm=quick").json()["variant"] == "default"


def test_each_key_of_a_body_takes_part_by_itself(project: EdgeProject, nearcast: Command) -> None:
    """The answers say which arm they are of; what cannot be answered leaves no record."""
    nearcast(*ADD, "--unit", "key.flight")
    with edge_process(project.settings) as edge:
        response = edge.post("late", [*(f"{flight}:EWR" for flight in FLIGHTS), "nobody:EWR"])

        *answers, failed = response.json()["predictions"]
        assert failed["status"] == 422
        variants = {"control": "default", "quick": "fast"}
        assert all(variants[a["experiment"]["arm"]] == a["prediction"]["variant"] for a in answers)
        assert len({a["experiment"]["arm"] for a in answers}) == 2
        found = records(project, len(FLIGHTS))
        assert {one.unit: one.arm for one in found} == {
            flight: a["experiment"]["arm"] for flight, a in zip(FLIGHTS, answers, strict=True)
        }


def test_answers_do_without_a_primary(tmp_path: Path, own_redis_pair: RedisPair) -> None:
    """The arms stay as they are; what cannot be recorded is counted as dropped."""
    project = declared(tmp_path, own_redis_pair)
    ExperimentStore(project.store, project.project).add(
        "faster", {"model": "late", "arms": {"control": {"variant": "default"}, "quick": {"variant": "fast"}}}
    )
    project.replicate()

    with edge_process(project.settings) as edge:
        asked = Asked(edge)
        before = [asked.get(f"{flight}:EWR").headers["nearcast-experiment"] for flight in FLIGHTS[:20]]
        records(project, 20)
        project.store.close()
        own_redis_pair.primary.process.kill()
        wait_until(lambda: not edge.get("/readyz").json()["primary_connected"])

        assert before == [asked.get(f"{flight}:EWR").headers["nearcast-experiment"] for flight in FLIGHTS[:20]]
        edge.wait_for_metric("nearcast_exposures_dropped_total", 20)
        assert edge.metric("nearcast_exposures_dropped_total") == 20


def test_a_ranking_is_one_answer(project: EdgeProject, nearcast: Command) -> None:
    """All candidates are predicted with the arm of whom they are ranked for; where that is not one unit, with none."""
    nearcast(*ADD, "--unit", "header.x-user")
    body = {"key": {"origin": "EWR"}, "candidates": {"flight": FLIGHTS[:8]}, "k": 8}

    with edge_process(project.settings) as edge:
        said = {}
        for user in (f"u{n}" for n in range(12)):
            response = edge.client.post("/v1/rank/late", json=body, headers={"x-user": user})
            arm = said[user] = response.headers["nearcast-experiment"].removeprefix("faster=")
            assert response.json()["variant"] == {"control": "default", "quick": "fast"}[arm]
        assert {one.unit: one.arm for one in records(project, 12)} == said
        assert set(said.values()) == {"control", "quick"}

        assert "nearcast-experiment" not in edge.client.post("/v1/rank/late", json=body).headers
        nearcast("experiment", "stop", "faster")
        nearcast("experiment", "add", "mixed", "late", "--arm", "a=default", "--arm", "b=fast", "--unit", "key.flight")
        Asked(edge).until_it_runs("mixed")
        mixed = edge.client.post("/v1/rank/late", json=body)
        assert (mixed.json()["variant"], mixed.headers.get("nearcast-experiment")) == ("default", None)


def test_who_takes_no_part_is_routed_as_before(tmp_path: Path, clean_redis: RedisPair) -> None:
    """Of a model whose variants are chosen by latency; caches are told of everything that the choice depends on."""
    routed = (
        MANIFEST.replace("[models.late]", "[models.late]\nrouting = 'auto'")
        + """
[tiers.premium]
budget_factor = 2.0
[experiments.half]
model = "late"
slice = [0.0, 0.5]
unit = "header.x-user"
arms = { control = { variant = "default" }, quick = { variant = "fast" } }
"""
    )
    project = declared(tmp_path, clean_redis, routed)

    with edge_process(project.settings) as edge:
        said: dict[str, list[str]] = {}
        for number in range(60):
            headers = edge.get("/v1/predict/late/F1:EWR", x_user=f"u{number}").headers
            name = "arm" if "nearcast-experiment" in headers else "route"
            assert ("nearcast-variant" in headers) == (name == "route")
            said.setdefault(name, []).append(headers["vary"])

        assert {name: set(vary) for name, vary in said.items()} == {
            "arm": {"x-user"},
            "route": {"x-user-tier, x-user"},
        }
        assert len(records(project, len(said["arm"]), "half")) > 10
    project.store.close()


def test_keys_of_the_open_inference_protocol_take_part(project: EdgeProject, nearcast: Command) -> None:
    """A unit gets the same arm at every door; who names a version has chosen."""
    nearcast(*ADD, "--unit", "key.flight")

    with edge_process(project.settings) as edge:

        def infer(flight: str, path: str = "/v2/models/late/infer") -> dict[str, Any]:
            body = {"parameters": {"key": f"{flight}:EWR"}, "inputs": []}
            found: dict[str, Any] = edge.client.post(path, json=body).json()["parameters"]
            return found

        for flight in FLIGHTS[:20]:
            arm = edge.get(f"/v1/predict/late/{flight}:EWR").headers["nearcast-experiment"].removeprefix("faster=")
            said = infer(flight)
            assert (said["experiment"], said["arm"]) == ("faster", arm)
            assert said["variant"] == {"control": "default", "quick": "fast"}[arm]
        assert "experiment" not in infer("F0", "/v2/models/late/versions/1/infer")
        assert len({(one.unit, one.arm) for one in records(project, 40)}) == 20


def test_an_arm_may_be_a_version_that_serves_nobody_else(project: EdgeProject, nearcast: Command) -> None:
    """It is loaded for the experiment, kept while it runs, and not before all arms are there."""
    new = onnx_models.mlp((4, 8, 1), seed=99)
    for seed in (97, 98):
        project.registry.publish("late", "default", onnx_models.mlp((4, 8, 1), seed=seed), now_ms=1)
    version = project.registry.publish("late", "default", new, now_ms=1, activate=False).version
    for seed in (101, 102):
        project.registry.publish("late", "default", onnx_models.mlp((4, 8, 1), seed=seed), now_ms=1, activate=False)
    project.replicate()

    with edge_process(project.settings) as edge:
        asked = Asked(edge)
        nearcast("experiment", "add", "newer", "late", "--arm", "now=default", "--arm", f"next={version}")
        asked.until_it_runs("newer")
        versions = {
            response.headers["nearcast-experiment"]: response.json()["version"]
            for response in (asked.get(f"{flight}:EWR") for flight in FLIGHTS[:50])
        }

        active = project.registry.active("late")["default"]
        assert versions == {"newer=now": active, "newer=next": version}


def test_it_begins_and_ends_by_the_clock(project: EdgeProject, nearcast: Command) -> None:
    """Nobody tells the edge then; a second one that comes later agrees about every unit."""

    def soon() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=2)

    def arms(edge: Asked) -> list[str]:
        return [edge.get(f"{flight}:EWR").headers["nearcast-experiment"] for flight in FLIGHTS[:30]]

    with edge_process(project.settings) as edge:
        asked, start = Asked(edge), soon()
        nearcast(*ADD, "--start", start.isoformat())
        asked.until_it_runs()
        assert datetime.now(UTC) >= start
        with edge_process(project.settings) as other:
            assert arms(asked) == arms(Asked(other))

        end = soon()
        nearcast(*ADD, "--replace", "--start", start.isoformat(), "--end", end.isoformat())
        asked.until_it_is_over()
        assert datetime.now(UTC) >= end
        assert nearcast("experiment", "list")["experiments"][0]["state"] == "over"


def test_hot_keys_are_computed_for_every_arm(project: EdgeProject, nearcast: Command) -> None:
    """Before anybody asks, and again when something behind them changes; without the experiment only the default."""
    keys = [f"{flight}:EWR?hour=12" for flight in FLIGHTS[:40]]
    for rank, key in enumerate(keys):
        project.store.call("ZADD", hot_key("late"), 1000.0 - rank, key)
    servables = [project.registry.load("late", version) for version in (1, 2)]

    def as_of(version: int) -> list[int]:
        found = predictions.read(project.store, servables[version - 1], keys)
        return [entry.as_of[1] for entry in found if isinstance(entry, Entry)]

    with role("worker", project.settings), role("scheduler", project.settings), role("refresher", project.settings):
        wait_until(lambda: len(as_of(1)) == len(keys), 20.0, "the default is not computed")
        assert as_of(2) == []
        nearcast(*ADD, "--unit", "key.flight")
        wait_until(lambda: len(as_of(2)) == len(keys), 20.0, "the other arm is not computed")

        before = max(as_of(1) + as_of(2))

        def all_know() -> bool:
            known = as_of(1) + as_of(2)
            return len(known) == 2 * len(keys) and min(known) > before

        project.put_weather({"EWR": 0.9}, event_ms=2)
        wait_until(all_know, 20.0, "not both arms know of the change")

        with edge_process(project.settings) as edge:
            responses = [edge.get(f"/v1/predict/late/{flight}:EWR") for flight in FLIGHTS[:40]]

    assert {response.json()["variant"] for response in responses} == {"default", "fast"}
    assert {tier(response) for response in responses} <= {"memory", "replica"}
