"""A minute of traffic while one process after the other is killed: nothing is falsely fresh, nothing is lost."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from deploy.audit.edges import EdgeClient
from deploy.local.redis_pair import RedisPair
from precompute import hotkeys, manifest, predictions
from precompute.entry import Entry
from precompute.errors import StoreUnavailable
from precompute.features import Features, Row
from precompute.job_runs import Run
from precompute.keys import row_key
from precompute.models import Key
from precompute.predictor import Servable
from precompute.registry import Registry
from precompute.rows import STAMP, stamp
from precompute.settings import Settings
from precompute.store import Store
from precompute.updates import parse_epoch
from tests import onnx_models
from tests.edge_process import address
from tests.roles import Role, role
from tests.waiting import wait_until
from workers import tallies
from workers.schedule_ledger import Ledgers

pytestmark = pytest.mark.faults

FOR_S = 60.0
FLIGHTS = 200
AIRPORTS = ["EWR", "JFK", "LGA"]
#: Edges may say for so long that something is fresh without hearing of their primary.
MAX_LAG_S = 3.0
JOB_EVERY_S = 2.0
MANIFEST = f"""
[project]
name = "flights"
[views.flight.fields]
origin = "string"
distance = "float32"
slack = "float32"
[views.weather.fields]
temp = "float32"
[models.late]
key = ["flight", "origin"]
all_keys = {{ view = "flight", parts = {{ flight = "$entity", origin = "origin" }} }}
views = {{ flight = "{{flight}}", weather = "{{origin}}" }}
inputs = {{ x = ["flight.distance", "flight.slack", "weather.temp"] }}
policy = {{ refresh = "always", max_lag_s = {MAX_LAG_S}, stale_if_error_s = 60.0 }}
[jobs.everything]
model = "late"
all = true
every_s = {JOB_EVERY_S}
overlap = "queue"
"""


class Airline:
    """Two hundred flights on a primary that keeps its data, and a published model."""

    def __init__(self, directory: Path, pair: RedisPair) -> None:
        path = directory / "nearcast.toml"
        path.write_text(MANIFEST)
        self.settings = Settings(
            project=path,
            primary_url=pair.primary_url,
            replica_url=pair.replica_url,
            hot_flush_s=1.0,
            look_every_s=1.0,
            lease_ttl_s=2.0,
        )
        self.project = manifest.load(path)
        self.store = Store(pair.primary_url, connections=16)
        self.replica = Store(pair.replica_url)
        self.features = Features(self.store, self.project)
        Registry(self.store, self.project).publish("late", "default", onnx_models.mlp((3, 8, 1)), now_ms=1)
        self.servable: Servable = Registry(self.store, self.project).load("late", 1)
        self.keys = [self.servable.model.parse_key(f"UA{i}:{AIRPORTS[i % 3]}") for i in range(FLIGHTS)]
        self.put_weather(AIRPORTS, 10.0)
        self.put_flights(range(FLIGHTS), 0.5)

    def put_weather(self, airports: list[str], temp: float) -> int:
        return self.features.put("weather", [Row(airport, {"temp": temp}, 1) for airport in airports]).written

    def put_flights(self, numbers: range, distance: float) -> int:
        rows = [Row(f"UA{i}", {"origin": AIRPORTS[i % 3], "distance": distance, "slack": 0.5}, 1) for i in numbers]
        return self.features.put("flight", rows).written

    def hot(self) -> list[Key]:
        """What the refreshers and the scheduler look after."""
        return [self.servable.model.parse_key(text) for text, _ in hotkeys.top(self.store, "late", FLIGHTS)]

    def outdated(self) -> list[str]:
        """Hot keys whose entry on the replica an edge would not call fresh."""
        epoch = parse_epoch(self.store.call("INFO", "replication"))
        keys = self.hot()
        entries = predictions.read(self.replica, self.servable, [key.text for key in keys])
        return [key.text for key, entry in zip(keys, entries, strict=True) if not self._knows_all(key, entry, epoch)]

    def _knows_all(self, key: Key, entry: object, epoch: int) -> bool:
        model = self.servable.model
        if not isinstance(entry, Entry) or entry.epoch != epoch:
            return False
        names = [row_key(d.view, entity) for d, entity in zip(model.dependencies, model.entities(key), strict=True)]
        heads = self.store.run([("GETRANGE", name, 0, STAMP.size - 1) for name in names])
        return all(known >= stamp(head).update_id for known, head in zip(entry.as_of, heads, strict=False))

    def runs(self) -> list[Run]:
        """The ended runs of the declared job, oldest first."""
        return sorted(Ledgers(self.store).past("everything"), key=lambda run: run.fire_ms)

    def close(self) -> None:
        self.store.close()
        self.replica.close()


@dataclass
class Traffic:
    """What has been put and asked for so far."""

    stop: Event = field(default_factory=Event)
    updates: int = 0
    refused_updates: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    stale: int = 0

    def update(self, airline: Airline) -> None:
        """The weather somewhere and a few flights, some thirty times a second."""
        choose = random.Random(1)
        while not self.stop.wait(0.03):
            first = choose.randrange(FLIGHTS - 3)
            try:
                self.updates += airline.put_weather([choose.choice(AIRPORTS)], choose.uniform(-10.0, 30.0))
                self.updates += airline.put_flights(range(first, first + 3), choose.random())
            except StoreUnavailable:
                self.refused_updates += 1

    def ask(self, airline: Airline, url: str) -> None:
        """One edge, a hundred times a second, a few flights more than others."""
        choose = random.Random(url)
        weights = [1 / (i + 1) for i in range(FLIGHTS)]
        with closing(EdgeClient(url)) as client:
            while not self.stop.wait(0.01):
                (key,) = choose.choices(airline.keys, weights)
                answer = client.ask(airline.servable.model, key)
                self.answers[answer.status] += 1
                self.stale += answer.stale


@contextmanager
def running(*works: Callable[[], None], stop: Event) -> Iterator[None]:
    """Each in a thread, until the end of the block."""
    threads = [Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


class Audit:
    """`nearcast audit`, at both edges."""

    def __init__(self, airline: Airline, urls: list[str]) -> None:
        where = ["--project", str(airline.settings.project), "--primary", airline.settings.primary_url]
        edges = [f"--url={url}" for url in urls]
        self._argv = [sys.executable, "-m", "deploy.cli", "audit", "late", *where, *edges, "--json"]

    def once(self, samples: int) -> tuple[int, dict[str, Any]]:
        """Exit status and figures of one round."""
        done = subprocess.run([*self._argv, "--samples", str(samples)], stdout=subprocess.PIPE, check=False)
        return done.returncode, json.loads(done.stdout)

    @contextmanager
    def continuously(self) -> Iterator[Callable[[], dict[str, Any]]]:
        """Audits while the block runs; gives what returns the figures so far."""
        with tempfile.TemporaryFile("w+") as log:
            argv = [*self._argv, "--samples", "30", "--continuously", "--every", "0.5"]
            with subprocess.Popen(argv, stdout=log) as process:

                def figures() -> dict[str, Any]:
                    log.seek(0)
                    lines = log.read().rpartition("\n")[0].splitlines()
                    found: dict[str, Any] = json.loads(lines[-1]) if lines else {}
                    return found

                try:
                    yield figures
                finally:
                    process.terminate()


def kill(victim: Role) -> None:
    """SIGKILL: it can say goodbye to nobody."""
    victim.process.kill()
    victim.process.wait(10.0)


def leads(scheduler: Role) -> bool:
    """By its own last word."""
    return scheduler.said.rfind("leading, term") > scheduler.said.rfind("no longer leading")


def test_whatever_is_killed_nothing_is_falsely_fresh_and_nothing_is_lost(tmp_path: Path) -> None:
    """Primary, worker, refresher and leading scheduler; edges answer all the time, and hot keys are fresh again."""
    with ExitStack() as resources:
        pair = resources.enter_context(RedisPair.start(tmp_path / "redis", persist=True))
        airline = resources.enter_context(closing(Airline(tmp_path, pair)))
        roles = {
            name: [resources.enter_context(role(name, airline.settings)) for _ in range(2)]
            for name in ("worker", "refresher", "scheduler")
        }
        on_any_port = airline.settings.model_copy(update={"port": 0})
        urls = [address(resources.enter_context(role("edge", on_any_port))) for _ in range(2)]
        audit, traffic = Audit(airline, urls), Traffic()
        began_s = time.monotonic()

        def wait_for_second(second: float) -> None:
            wait_until(lambda: time.monotonic() - began_s >= second, second + 1.0)

        with (
            running(
                lambda: traffic.update(airline),
                *(lambda url=url: traffic.ask(airline, url) for url in urls),  # type: ignore[misc]
                stop=traffic.stop,
            ),
            audit.continuously() as figures,
        ):
            wait_for_second(8)
            kill(roles["worker"][0])
            wait_for_second(18)
            kill(roles["refresher"][0])
            wait_for_second(28)
            pair.primary.process.kill()
            pair.primary.process.wait(10.0)
            # Longer than edges may vouch for anything without it.
            wait_for_second(28 + MAX_LAG_S + 2)
            pair.restart_primary()
            wait_for_second(44)
            leader = next(scheduler for scheduler in roles["scheduler"] if leads(scheduler))
            kill(leader)
            wait_for_second(FOR_S)
            refreshed = tallies.read(airline.store)["refreshed"]
            # Time for another leader to be found and to merge what is hot.
            wait_until(
                lambda: tallies.read(airline.store)["refreshed"] > refreshed, 40.0, "nothing is refreshed any more"
            )
            audited = figures()

        wait_until(lambda: not airline.outdated(), 20.0, "hot predictions stay out of date")
        status, settled = audit.once(300)

        hot = len(airline.hot())
        survivor = next(scheduler for scheduler in roles["scheduler"] if scheduler is not leader)
        wait_until(lambda: leads(survivor), 10.0, "nobody leads")
        runs = airline.runs()

    violations = ("falsely_fresh", "wrong", "not_forgotten")
    assert [audited[name] for name in violations] == [0, 0, 0], audited
    assert audited["fresh_answers"] > 500
    assert (status, settled["correct"], settled["fresh_answers"]) == (0, 600, 600), settled
    assert traffic.updates > 1000
    assert traffic.refused_updates > 0
    assert traffic.stale > 0
    assert set(traffic.answers) <= {200, 503}, traffic.answers
    assert traffic.answers[503] < traffic.answers.total() / 100
    assert hot > FLIGHTS // 2
    fires = [run.fire_ms for run in runs]
    assert len(set(fires)) == len(fires)
    assert sum(run.fires for run in runs) == (fires[-1] - fires[0]) / (1000 * JOB_EVERY_S) + 1
    assert {run.state for run in runs} <= {"finished", "missed"}
    assert {run.written for run in runs if run.state == "finished"} == {FLIGHTS}
