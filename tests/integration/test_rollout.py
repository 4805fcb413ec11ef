"""Warm rollouts and rollbacks under load, with real edges and a real worker."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.cli.run import run
from deploy.local.redis_pair import RedisPair
from precompute.keys import entry_key, hot_key
from tests import onnx_models
from tests.edge_process import Edge, address, edge_process, tier
from tests.edge_project import EdgeProject
from tests.roles import role
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

FLIGHTS = 300
KEYS = [f"F{n}:EWR" for n in range(FLIGHTS)]
WEIGHTS = [1 / (n + 1) for n in range(FLIGHTS)]
#: Requests of one figure: enough for one percent to be more than one request.
WINDOW = 250
HITS = ("memory", "replica")

Command = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def project(tmp_path: Path, clean_redis: RedisPair) -> Iterator[EdgeProject]:
    """Hot keys, the first ones much hotter than the last."""
    published = EdgeProject.publish(tmp_path, clean_redis)
    published.put_flights([f"F{n}" for n in range(FLIGHTS)], [n / FLIGHTS for n in range(FLIGHTS)])
    published.put_weather({"EWR": 0.5})
    for key, weight in zip(KEYS, WEIGHTS, strict=True):
        published.store.call("ZADD", hot_key("late"), weight, f"{key}?hour=12")
    published.replicate()
    (tmp_path / "new.onnx").write_bytes(onnx_models.mlp((4, 8, 1), seed=77))
    yield published
    published.store.close()


@pytest.fixture
def nearcast(project: EdgeProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command with `--json` beside the project file; returns status, document and messages."""
    monkeypatch.setenv("NEARCAST_PRIMARY_URL", project.settings.primary_url)
    monkeypatch.setenv("NEARCAST_PROJECT", str(project.settings.project))
    monkeypatch.chdir(project.settings.project.parent)

    def command(*arguments: str) -> tuple[int, Any, str]:
        capsys.readouterr()
        status = run([*arguments, "--json"])
        out, err = capsys.readouterr()
        return status, json.loads(out) if out else None, err

    return command


class Load:
    """Requests for keys as hot as they are, one after the other, and where each was answered from."""

    def __init__(self, edge: Edge) -> None:
        self._url = address(edge.role)
        self._random = random.Random(4)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.tiers: list[str] = []
        self.versions: list[int] = []

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=10.0) as client:
            while not self._stop.is_set():
                (key,) = self._random.choices(KEYS, WEIGHTS)
                response = client.get(f"/v1/predict/late/{key}")
                assert response.status_code == 200, response.text
                self.versions.append(response.json()["version"])
                self.tiers.append(tier(response))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Load for the length of the block."""
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def more(self, count: int) -> None:
        """Waits for so many more requests."""
        target = len(self.tiers) + count
        wait_until(lambda: len(self.tiers) >= target or not self._thread.is_alive(), 60.0, "the load stands still")
        assert self._thread.is_alive()

    def hit_ratios(self, start: int) -> list[float]:
        """The share of hits in each window of requests since the one numbered `start`."""
        edges = range(start, len(self.tiers) + 1, WINDOW)
        return [sum(t in HITS for t in self.tiers[a:b]) / WINDOW for a, b in pairwise(edges)]


@contextmanager
def steady_load(edge: Edge) -> Iterator[Load]:
    """Load on an edge that has every key."""
    assert {item["status"] for item in edge.post("late", KEYS).json()["predictions"]} == {200}
    load = Load(edge)
    with load.running():
        load.more(2 * WINDOW)
        yield load


def test_hits_do_not_dip_while_a_version_is_rolled_out(project: EdgeProject, nearcast: Command) -> None:
    """In each window of requests, before, during and after, the hit ratio stays within 2 points."""
    with role("worker", project.settings), edge_process(project.settings) as edge, steady_load(edge) as load:
        before = load.hit_ratios(0)[-1]
        began = len(load.tiers)

        status, document, err = nearcast("model", "publish", "late", "new.onnx", "--warm", "--share", "0.99")
        wait_until(lambda: load.versions[-1] == document["version"], message="the new version does not serve")
        load.more(4 * WINDOW)

        assert status == 0, err
        assert (document["serving"], document["rollout"]["flipped"]) == (True, True)
        assert document["rollout"]["warm_share"] >= 0.99
        print(f"hit ratio {before:.1%} before, at worst {min(load.hit_ratios(began)):.1%} in {WINDOW} requests")
        assert min(load.hit_ratios(began)) >= before - 0.02
        # Not one answer of the old version after the first of the new one.
        assert load.versions == sorted(load.versions)


def test_a_cold_publish_shows_what_that_is_worth(project: EdgeProject, nearcast: Command) -> None:
    """The same measure sees the dip of a version that nobody has warmed."""
    with edge_process(project.settings) as edge, steady_load(edge) as load:
        before = load.hit_ratios(0)[-1]
        nearcast("model", "publish", "late", "new.onnx")
        wait_until(lambda: load.versions[-1] != 1, message="the new version does not serve")
        flipped = next(i for i, version in enumerate(load.versions) if version != 1)
        load.more(2 * WINDOW)

        print(f"hit ratio {before:.1%} before, {load.hit_ratios(flipped)[0]:.1%} after a cold publish")
        assert load.hit_ratios(flipped)[0] < before - 0.02


def test_a_rollback_reaches_all_edges(project: EdgeProject, record_property: Callable[[str, object], None]) -> None:
    """Both answer with the version before; how soon is recorded (the goal is 100 ms)."""
    new = project.registry.publish("late", "default", onnx_models.mlp((4, 8, 1), seed=77), now_ms=1).version
    with ExitStack() as stack:
        edges = [stack.enter_context(edge_process(project.settings)) for _ in range(2)]
        for edge in edges:
            wait_until(lambda edge=edge: _version(edge) == new, message="the new version does not serve")  # type: ignore[misc]

        began_s = time.monotonic()
        back = project.registry.rollback("late").version
        took_ms = [_until_serves(edge, back, began_s) for edge in edges]

    record_property("rollback_ms", took_ms)
    print(f"rollback visible after {', '.join(f'{ms:.1f} ms' for ms in took_ms)}")


def _version(edge: Edge) -> int:
    version: int = edge.get(f"/v1/predict/late/{KEYS[0]}").json()["version"]
    return version


def _until_serves(edge: Edge, version: int, began_s: float) -> float:
    deadline_s = began_s + 10.0
    while _version(edge) != version:
        assert time.monotonic() < deadline_s, f"version {version} is not back"
    return (time.monotonic() - began_s) * 1000


def test_a_rollout_without_workers_changes_nothing(project: EdgeProject, nearcast: Command) -> None:
    """The pointer stays, the version is published, and the message says how far it got."""
    status, document, err = nearcast("model", "publish", "late", "new.onnx", "--warm", "--timeout", "0.5")

    assert status == 1
    assert err.count("\n") == 1
    assert "is published but does not serve: 0.0% of the hot keys' requests are warm, 95% wanted" in err
    assert "no worker has begun" in err
    assert (document["serving"], document["rollout"]["flipped"]) == (False, False)
    assert project.registry.active("late")["default"] == 1


def test_a_version_that_cannot_compute_the_hot_keys_is_not_rolled_out(project: EdgeProject, nearcast: Command) -> None:
    """Long before the time is up, with the first reason."""
    project.features.delete("weather", ["EWR"])

    with role("worker", project.settings):
        status, document, err = nearcast("model", "publish", "late", "new.onnx", "--warm", "--timeout", "300")

    assert status == 1
    assert "no row for weather 'EWR'" in err
    assert document["rollout"]["warm_keys"] == 0


def test_only_as_much_as_asked_for_has_to_be_warm(project: EdgeProject, nearcast: Command) -> None:
    """A few of the hottest keys are most of the requests; nothing hot is warm at once."""
    project.store.call("DEL", hot_key("patient"))

    with role("worker", project.settings):
        partly = nearcast("model", "publish", "late", "new.onnx", "--warm", "--hot", "10", "--share", "0.5")
    project.settings.project.with_name("p.onnx").write_bytes(onnx_models.mlp((2, 8, 1), seed=5))
    nothing = nearcast("model", "publish", "patient", "p.onnx", "--warm")

    assert (partly[0], partly[1]["rollout"]["hot_keys"], partly[1]["serving"]) == (0, 10, True)
    assert (nothing[0], nothing[1]["rollout"]["hot_keys"], nothing[1]["serving"]) == (0, 0, True)


def test_what_changes_during_a_rollout_is_not_called_warm(project: EdgeProject, nearcast: Command) -> None:
    """Entries are there, but older than a row behind them: they are computed again before the pointer moves."""
    with role("worker", project.settings):
        nearcast("jobs", "run", "late", "--hot", "300")
        project.put_weather({"EWR": 0.9}, event_ms=2)
        # The same file is the same version: its entries exist already, and are all out of date.
        Path("same.onnx").write_bytes(project.store.call("GET", _blob(project)))
        status, document, _ = nearcast("model", "publish", "late", "same.onnx", "--warm", "--share", "1")

    assert (status, document["version"]) == (0, 1)
    assert (document["rollout"]["warm_keys"], len(document["rollout"]["jobs"])) == (FLIGHTS, 1)


def _blob(project: EdgeProject) -> str:
    return f"model:blob:{project.registry.version('late', 1).sha256}"


def test_warm_and_no_activate_contradict_each_other(nearcast: Command) -> None:
    """Nothing is published."""
    status, _, err = nearcast("model", "publish", "late", "new.onnx", "--warm", "--no-activate")

    assert status == 2
    assert "--warm is a way to activate" in err


def test_a_version_in_the_shadow_is_compared_and_stores_nothing(project: EdgeProject, nearcast: Command) -> None:
    """How far apart, in how many keys, and where most; with nothing hot, any keys will do if the model lists them."""
    nearcast("model", "publish", "late", "new.onnx", "--no-activate")

    status, found, err = nearcast("model", "shadow", "late", "3", "--sample", "50", "--tolerance", "0.0001")

    assert status == 0, err
    assert (found["active"], found["candidate"], found["keys"], found["compared"]) == (1, 3, 50, 50)
    output = found["outputs"]["y"]
    assert 0 < output["mean_abs"] <= output["max_abs"] == found["worst"][0]["difference"]
    assert found["worst"][0]["active"] != found["worst"][0]["candidate"]
    assert project.store.call("EXISTS", *(entry_key("late", 3, f"{key}?hour=12") for key in KEYS)) == 0
    assert project.registry.active("late")["default"] == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["late", "9"], "has no version 9"),
        (["late", "1"], "is the one that serves"),
        (["guess", "1"], "is the one that serves"),
    ],
)
def test_a_shadow_of_nothing_is_refused(nearcast: Command, arguments: list[str], complaint: str) -> None:
    """In one line."""
    status, document, err = nearcast("model", "shadow", *arguments)

    assert (status, document) == (1, None)
    assert complaint in err


def test_people_see_a_shadow_in_tables(
    project: EdgeProject, capsys: pytest.CaptureFixture[str], nearcast: Command
) -> None:
    """Versions, outputs, and the keys that differ most."""
    nearcast("model", "publish", "late", "new.onnx", "--no-activate")

    status = run(["model", "shadow", "late", "3", "--sample", "20"])

    out = capsys.readouterr().out
    assert status == 0
    for text in ("1 serves, 3 in its shadow", "max |d|", "Differ most", "F0:EWR"):
        assert text in out
