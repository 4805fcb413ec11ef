"""What the dashboard says of workers, refreshers, schedulers and jobs; and a job that is run from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from deploy.local.redis_pair import RedisPair
from tests.edge_process import Edge, edge_process
from tests.edge_project import MANIFEST, EdgeProject, graph
from tests.roles import role
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

TOKEN = "only-for-people-who-may"
AUTHORITY = {"authorization": f"Bearer {TOKEN}"}
RUN = "/dashboard/jobs/nightly/run"
OFF_PATH = "off_path_rows_per_request"
#: A flush of hot keys, a merge, a replan, a change, a refresh, a bucket.
_SEEN_WITHIN_S = 45.0

TEXT = (
    MANIFEST.replace("max_age_s = 60.0", 'refresh = "always"').replace(
        "[views.weather", "[views.flight]\nsla_s = 5.0\n[views.weather"
    )
    + """
[jobs.nightly]
model = "late"
hot = 10
cron = "0 3 * * *"
"""
)


@pytest.fixture
def project(clean_redis: RedisPair, tmp_path: Path) -> EdgeProject:
    """A job for hot keys, which are refreshed on every change."""
    files = {("late", "default"): graph("late")}
    project = EdgeProject.declare(tmp_path, clean_redis, TEXT, files, hot_flush_s=0.5)
    project.put_flights(["F1"], [1.0])
    project.put_weather({"EWR": 3.0})
    return project


@pytest.fixture
def edge(project: EdgeProject, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edge]:
    """An edge, and everything behind it."""
    monkeypatch.setenv("NEARCAST_ADMIN_TOKEN", TOKEN)
    with ExitStack() as roles:
        for name in ("worker", "scheduler", "refresher"):
            roles.enter_context(role(name, project.settings))
        edge = roles.enter_context(edge_process(project.settings))
        edge.get("/v1/predict/late/F1:EWR")
        wait_until(lambda: document(edge)["hot"] and document(edge)["leader"], _SEEN_WITHIN_S)
        yield edge


def document(edge: Edge) -> dict[str, Any]:
    """What the dashboard is told."""
    found: dict[str, Any] = edge.get("/dashboard/data?range_s=300").json()
    return found


def test_a_job_is_run_from_the_dashboard(edge: Edge) -> None:
    """By whoever has the token: its keys are computed, beside its schedule, and the run is its last."""
    before = document(edge)["jobs"]

    asked = edge.client.post(RUN, headers=AUTHORITY)

    assert (asked.status_code, asked.json()) == (202, {"job": "nightly", "ordered": True})
    last = wait_until(lambda: (it := document(edge)["jobs"][0]["last"]) and it["state"] == "finished" and it, 20.0)
    assert [(it["name"], it["paused"], it["last"]) for it in before] == [("nightly", False, None)]
    assert before[0]["next_ms"] > document(edge)["now_ms"]
    assert (last["done"], last["total"], last["failed"]) == (1, 1, 0)
    assert document(edge)["runs"] == []


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [(RUN, {}, 401), (RUN, {"authorization": "Bearer x"}, 401), ("/dashboard/jobs/nobody/run", AUTHORITY, 404)],
)
def test_nobody_else_runs_anything(edge: Edge, path: str, headers: dict[str, str], status: int) -> None:
    """Nor does a job run that is not declared."""
    refused = edge.client.post(path, headers=headers)

    assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json")


def test_everybody_says_how_they_get_on(edge: Edge, project: EdgeProject) -> None:
    """Workers and the like are alive, one leads and sees the queues; a refresh is counted, and what it took."""

    def refreshed() -> dict[str, Any] | None:
        found = document(edge)
        series = found["series"]
        return found if any(series["update_to_refreshed_ms"]["p50"]) and any(series[OFF_PATH]) else None

    distances = iter(range(2, 1000))

    def change() -> dict[str, Any] | None:
        distance = next(distances)
        edge.get("/v1/predict/late/F1:EWR")
        project.put_flights(["F1"], [float(distance)], event_ms=distance)
        return refreshed()

    found = wait_until(change, _SEEN_WITHIN_S)

    assert found is not None
    assert [(it["name"].split("@")[0], it["alive"]) for it in found["workers"]] == [
        ("refresher", True),
        ("scheduler", True),
        ("worker", True),
    ]
    assert found["leader"]["since_ms"] <= found["now_ms"]
    assert {queue["name"] for queue in found["queues"]} >= {"nearcast.refresh", "nearcast.precompute"}
    assert found["totals"][OFF_PATH] > 0
    (flight,) = [view for view in found["views"] if view["view"] == "flight"]
    assert (flight["sla_s"], flight["within"], flight["burn"]) == (5.0, 1.0, 0.0)
    assert flight["updates_per_s"] > 0
