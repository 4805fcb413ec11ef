"""The dashboard and the alerts, asked of a real Prometheus that scrapes a real node and all that works for it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from math import isnan
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.redis_pair import RedisPair
from precompute import audit_note
from precompute.audit_note import AuditNote
from precompute.keys import hot_key
from tests.edge_process import Edge, address, edge_process
from tests.edge_project import MANIFEST, EdgeProject, graph
from tests.prometheus_server import Prometheus, prometheus
from tests.roles import role
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

DEPLOY = Path(__file__).parents[3] / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "nearcast.json").read_text())
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
PROJECT = (
    MANIFEST.replace(
        "[views.weather.fields]", "[views.weather]\nsla_s = 5\nobjective = 0.9\n[views.weather.fields]"
    ).replace("policy = { ttl_s = 3600.0, ttl_jitter", 'policy = { refresh = "always", ttl_s = 3600.0, ttl_jitter')
    + """
[jobs.often]
model = "late"
hot = 200
every_s = 1
"""
)
#: Queries without an answer on a healthy node: its primary has no limit.
MAY_BE_EMPTY = {"max(nearcast_store_memory_max_bytes) > 0"}
FLIGHTS = [f"F{n}" for n in range(200)]
#: The rest is asked for so rarely that it comes from the replica, where it was made anew meanwhile.
OFTEN = FLIGHTS[:20]


@dataclass(frozen=True, slots=True)
class Scene:
    """What is scraped, and by whom."""

    edge: Edge
    prometheus: Prometheus


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A node under load, with features that change, and a worker, a refresher and a scheduler; once there is data."""
    directory = tmp_path_factory.mktemp("scraped")
    with ExitStack() as running:
        pair = running.enter_context(RedisPair.start(None, persist=False))
        files = {("late", "default"): graph("late"), ("guess", "default"): graph("guess")}
        project = EdgeProject.declare(
            directory, pair, PROJECT, files, metrics_port=0, look_every_s=0.2, coalesce_ms=1.0, hot_flush_s=0.5
        )
        running.callback(project.store.close)
        project.put_flights(FLIGHTS, [float(n) for n in range(200)])
        project.put_weather({"EWR": 0.0})
        project.store.call("ZADD", hot_key("late"), *[part for f in FLIGHTS for part in (10.0, f"{f}:EWR?hour=12")])
        audit_note.write(project.store, AuditNote(at_ms=1, checked=100, falsely_fresh=0))
        edge = running.enter_context(edge_process(project.settings))
        targets = {"nearcast-edge": address(edge.role).removeprefix("http://")}
        for name in ("worker", "scheduler", "refresher"):
            part = running.enter_context(role(name, project.settings))
            targets[f"nearcast-{name}"] = part.said.split("metrics at http://", 1)[1].split("/")[0]
        server = running.enter_context(prometheus(directory, targets, ALERTS))
        running.enter_context(_load(edge, project))
        _wait_for_data(server)
        yield Scene(edge, server)


@contextmanager
def _load(edge: Edge, project: EdgeProject) -> Iterator[None]:
    """Requests that hit, miss and fail, and weather that changes, until the end of the block."""
    over = threading.Event()

    def ask() -> None:
        for number in count(1):
            if over.wait(0.05):
                return
            for flight in (*OFTEN, FLIGHTS[number % 200]):
                edge.get(f"/v1/predict/late/{flight}:EWR?hour=12")
            edge.get(f"/v1/predict/late/{OFTEN[number % 20]}:EWR?hour={number % 12}")
            edge.get("/v1/predict/late/nobody:EWR?hour=12")
            for budget_ms in (500, 0.001):
                edge.get(f"/v1/predict/late/{FLIGHTS[number % 200]}:EWR?variant=auto&budget_ms={budget_ms}")
            if number % 10 == 0:
                project.put_weather({"EWR": float(number)}, event_ms=number)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def panels() -> list[dict[str, Any]]:
    """All that show something."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> list[str]:
    """What all panels ask, with the variables as they are at first."""
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    for name, value in (("$__rate_interval", "5s"), ("$instance", ".*"), ("$model", ".*")):
        asked = [query.replace(name, value) for query in asked]
    return asked


def alert_rules() -> list[dict[str, Any]]:
    """All of them."""
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def _wait_for_data(server: Prometheus) -> None:
    """Until every query has had a number once; not all at once, since a quantile of what did not happen is none."""
    missing = set(queries()) - MAY_BE_EMPTY

    def none_is_missing() -> bool:
        for query in list(missing):
            if not all(isnan(value) for _, value in server.query(query)):
                missing.remove(query)
        return not missing

    try:
        wait_until(none_is_missing, 90.0)
    except AssertionError:
        raise AssertionError(f"no data for {missing}") from None


def test_every_panel_shows_something(scene: Scene) -> None:
    """No query is wrong, and none asks for what nobody exports; numbers are numbers."""
    for query in queries():
        found = scene.prometheus.query(query)

        assert found or query in MAY_BE_EMPTY, query
        assert "$" not in query


def test_ratios_are_ratios(scene: Scene) -> None:
    """What is shown as a share is between nothing and all."""
    shares = [panel for panel in panels() if panel["fieldConfig"]["defaults"]["unit"] == "percentunit"]
    for query in (q for q, p in zip(queries(), _panel_of_each_query(), strict=True) if p in shares):
        for _, value in scene.prometheus.query(query):
            assert 0 <= value <= 1, query


def _panel_of_each_query() -> list[dict[str, Any]]:
    return [panel for panel in panels() for _ in panel["targets"]]


def test_every_metric_that_an_alert_asks_for_is_there(scene: Scene) -> None:
    """A misspelt name would never fire."""
    for rule in alert_rules():
        scene.prometheus.query(rule["expr"])
        for name in set(re.findall(r"\b(?:nearcast_[a-z_]+|up)\b", rule["expr"])):
            assert scene.prometheus.query(f"count({name})"), f"{rule['alert']} asks for {name}"


def test_a_healthy_fleet_alerts_nobody(scene: Scene) -> None:
    """Not even pending, once it is under way; but for the memory of whatever machine this is."""
    wait_until(lambda: scene.prometheus.alerts() <= {"NearcastNodeMemoryNearLimit"}, 60.0)


def test_prometheus_and_the_edge_count_the_same(scene: Scene) -> None:
    """What is scraped is what was asked; a counter is never ahead of its source."""
    shown = scene.prometheus.query("sum(nearcast_requests_total)")[0][1]

    assert 0 < shown <= scene.edge.metric("nearcast_requests_total")


def test_the_dashboard_can_be_imported() -> None:
    """Ids are its own, each panel has a place, and everything asks the chosen data source."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    places = [tuple(panel["gridPos"][side] for side in "xywh") for panel in DASHBOARD["panels"]]
    variables = [variable["name"] for variable in DASHBOARD["templating"]["list"]]

    assert (DASHBOARD["schemaVersion"], DASHBOARD["uid"], DASHBOARD["id"]) == (39, "nearcast", None)
    assert variables == ["datasource", "instance", "model"]
    assert len(set(ids)) == len(ids)
    assert all(x + w <= 24 for x, _, w, _ in places)
    cells = [(x + dx, y + dy) for x, y, w, h in places for dx in range(w) for dy in range(h)]
    assert len(set(cells)) == len(cells)
    assert {target["datasource"]["uid"] for panel in panels() for target in panel["targets"]} == {"${datasource}"}
