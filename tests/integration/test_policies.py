"""Freshness policies as clients see them: whatever is not fresh says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.redis_pair import RedisPair
from precompute import orders
from precompute.orders import WholeModel
from tests.edge_process import Edge, edge_process, tier
from tests.edge_project import EdgeProject
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

PATIENT = "/v1/predict/patient/F0"


@pytest.fixture
def project(tmp_path: Path, clean_redis: RedisPair) -> Iterator[EdgeProject]:
    """`patient` may answer as stale while it is computed again."""
    published = EdgeProject.publish(tmp_path, clean_redis)
    published.put_flights(["F0"], [0.1])
    published.put_weather({"EWR": 0.5})
    yield published
    published.store.close()


@pytest.fixture
def edge(project: EdgeProject) -> Iterator[Edge]:
    """An edge with an empty memory."""
    with edge_process(project.settings) as running:
        yield running


def test_an_answer_beyond_its_freshness_says_so_everywhere(project: EdgeProject, edge: Edge) -> None:
    """In the body and in the headers, and nobody may keep it; the next one is fresh again."""
    fresh = edge.get(PATIENT)
    orders.give(project.store, WholeModel("patient"), who="", why="", now_ms=0)
    stale = wait_until(lambda: _answer(edge, stale=True), message="never stale")
    again = wait_until(lambda: _answer(edge, stale=False), message="stays stale")

    assert "stale" not in fresh.json()
    assert (stale.json()["stale"], tier(stale)) == (True, "stale")
    assert (stale.headers["cache-control"], "etag" in stale.headers) == ("no-store", False)
    assert "age" in stale.headers
    assert stale.json()["outputs"] == fresh.json()["outputs"]
    assert again.json()["as_of"] > stale.json()["as_of"]


def test_many_keys_at_once_say_it_one_by_one(project: EdgeProject, edge: Edge) -> None:
    """Each prediction of a batch carries its own mark."""
    edge.post("patient", ["F0"])
    orders.give(project.store, WholeModel("patient"), who="", why="", now_ms=0)

    def stale() -> bool:
        (found,) = edge.post("patient", ["F0"]).json()["predictions"]
        return found["tier"] == "stale" and found["prediction"]["stale"] is True

    wait_until(stale, message="never stale")


def test_a_model_without_such_a_policy_is_never_stale(project: EdgeProject, edge: Edge) -> None:
    """The request after the edge has read of a change is computed."""
    path = "/v1/predict/late/F0:EWR"
    edge.get(path)
    project.put_weather({"EWR": 0.9}, event_ms=2)

    answers: list[httpx.Response] = []

    def computed() -> bool:
        answers.append(edge.get(path))
        return tier(answers[-1]) == "live"

    wait_until(computed, message="still from memory")

    assert not [answer for answer in answers if "stale" in answer.json()]


def test_unknown_keys_cost_no_reads_until_their_row_comes(project: EdgeProject, edge: Edge) -> None:
    """The same problem each time, and the prediction as soon as the row is there."""
    path = "/v1/predict/late/NEW:EWR"
    statuses = {edge.get(path).status_code for _ in range(20)}
    spared, computed = edge.metric("nearcast_absent_hits_total"), edge.metric("nearcast_live_rows_total")

    project.put_flights(["NEW"], [0.7])
    wait_until(lambda: edge.get(path).status_code == 200, message="the row is not noticed")

    assert statuses == {422}
    assert spared + computed == 20
    assert spared >= 15


def _answer(edge: Edge, *, stale: bool) -> httpx.Response | None:
    """An answer, if it is of that kind."""
    response = edge.get(PATIENT)
    return response if ("stale" in response.json()) is stale else None
