"""The document behind the dashboard, of real edges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from precompute.series import TIERS
from tests.edge_process import Edge, edge_process
from tests.edge_project import EdgeProject
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

#: A bucket, its end, and its way here.
_FLUSHED_WITHIN_S = 20.0


@pytest.fixture
def edge(project: EdgeProject) -> Iterator[Edge]:
    """One edge."""
    with edge_process(project.settings) as edge:
        yield edge


def document(edge: Edge, range_s: int = 60, node: str = "") -> dict[str, Any]:
    """What it says."""
    response = edge.get(f"/dashboard/data?range_s={range_s}&node={node}")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def settled(edge: Edge, requests: int) -> dict[str, Any]:
    """The document, once it tells so many requests."""
    wait_until(lambda: document(edge)["totals"]["requests"] >= requests, _FLUSHED_WITHIN_S)
    return document(edge)


def test_every_request_is_told_once(edge: Edge) -> None:
    """By what answered it, and by what did not; the same in the series, and in `/metrics`."""
    tag = edge.get("/v1/predict/late/F1:EWR").headers["etag"]
    for _ in range(20):
        edge.get("/v1/predict/late/F1:EWR")
    edge.get("/v1/predict/late/F1:EWR", if_none_match=tag)
    edge.post("late", ["F1:EWR", "F9:EWR", "odd"])
    edge.get("/v1/predict/nobody/F1")
    edge.get("/v1/predict/unborn/EWR")

    found = settled(edge, 27)

    totals = found["totals"]
    assert totals["tiers"] == {"memory": 22, "replica": 0, "live": 1, "stale": 0, "default": 0}
    assert (totals["requests"], totals["errors"], totals["shed"]) == (27, 4, 0)
    assert edge.metric("nearcast_requests_total") == 27
    told = [found["series"]["requests_per_s"][tier] for tier in TIERS] + [found["series"]["errors_per_s"]]
    assert sum(value * found["step_s"] for values in told for value in values if value) == pytest.approx(27)


def test_where_nobody_was_is_a_gap(edge: Edge) -> None:
    """The minute before the edge began; and an idle edge answers no requests, which is a number."""
    found = settled(edge, 0)
    wait_until(lambda: document(edge)["series"]["errors_per_s"][-1] == 0.0, _FLUSHED_WITHIN_S)

    series = document(edge)["series"]

    assert len(found["times_ms"]) == 12
    assert series["requests_per_s"]["memory"][0] is None
    assert series["requests_per_s"]["memory"][-1] == 0.0
    assert series["hit_ratio"][-1] is None


def test_a_node_can_be_looked_at_alone(edge: Edge) -> None:
    """By its name; of another one nothing is known."""
    edge.get("/v1/predict/late/F1:EWR")
    (node,) = settled(edge, 1)["nodes"]

    alone, other = document(edge, node=node["node"]), document(edge, node="other:1")

    assert (node["alive"], node["processes"]) == (True, 1)
    assert (alone["totals"]["requests"], other["totals"]["requests"]) == (1, 0)


def test_listeners_are_told_whenever_a_bucket_has_ended(edge: Edge) -> None:
    """The first document at once, the next one with one step more."""
    told: list[dict[str, Any]] = []
    with edge.client.stream("GET", "/dashboard/live?range_s=60") as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                told.append(orjson.loads(line.removeprefix("data: ")))
            if len(told) == 2:
                break

    assert stream.headers["content-type"] == "text/event-stream"
    assert told[1]["times_ms"][-1] > told[0]["times_ms"][-1]
    assert set(told[0]) == set(document(edge))


@pytest.mark.parametrize("query", ["range_s=5", "range_s=1e3", "range_s=86401", "range_s="])
def test_a_range_that_makes_no_sense_is_refused(edge: Edge, query: str) -> None:
    """With a problem document, by both doors."""
    answers = [edge.get(f"/dashboard/{door}?{query}") for door in ("data", "live")]

    assert [(it.status_code, it.headers["content-type"]) for it in answers] == [(400, "application/problem+json")] * 2


def test_a_listener_does_not_hold_up_the_end(project: EdgeProject) -> None:
    """Its stream ends when the edge is told to stop, and the edge ends cleanly."""
    with edge_process(project.settings) as edge, edge.client.stream("GET", "/dashboard/live") as stream:
        lines = stream.iter_lines()
        next(lines)

        edge.role.process.terminate()

        rest = list(lines)
        status = edge.role.process.wait(8.0)
    assert status == 0
    assert rest
