"""One test for each arrow of the way of the data, with the processes that a user would run.

feature update -> row + update log -> replica -> edge follower -> memory tier
                                  -> refresher -> task -> predictor -> entry -> replica
request -> memory -> replica -> live -> stale / default, and live -> write-back to the primary
edge hit counts -> hot keys -> scheduler -> task -> predictor -> entry
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from deploy.local.redis_pair import RedisPair
from precompute.features import Row
from precompute.keys import log_key, row_key
from precompute.store import Store
from tests import onnx_models
from tests.edge_process import Edge, edge_process, tier
from tests.edge_project import EdgeProject, direct
from tests.roles import role
from tests.waiting import wait_until

pytestmark = pytest.mark.acceptance

MANIFEST = """
[project]
name = "way"
[views.flight.fields]
distance = "float32"
[views.weather.fields]
temp = "float32"

[models.late]
key = ["flight", "origin"]
views = { flight = "{flight}", weather = "{origin}" }
inputs = { x = ["flight.distance", "weather.temp"] }
policy = { ttl_s = 3600.0, refresh = "always" }

[models.patient]
key = ["flight"]
inputs = { x = ["flight.distance"] }
policy = { stale_while_revalidate_s = 600.0 }

[models.guess]
key = ["flight"]
inputs = { x = ["flight.distance"] }
policy = { default = { y = 0.5 } }
"""
FILES = {
    ("late", "default"): onnx_models.mlp((2, 8, 1), seed=1),
    ("patient", "default"): onnx_models.mlp((1, 8, 1), seed=2),
    ("guess", "default"): onnx_models.mlp((1, 8, 1), seed=3),
}
PATH = "/v1/predict/late/UA1:EWR"
ENTRY = "p:late:1:UA1:EWR"


@pytest.fixture
def project(clean_redis: RedisPair, tmp_path: Path) -> Iterator[EdgeProject]:
    """One flight, one airport, three models."""
    quick = {"hot_flush_s": 0.2, "look_every_s": 0.5, "lease_ttl_s": 1.0, "coalesce_ms": 5.0}
    project = EdgeProject.declare(tmp_path, clean_redis, MANIFEST, FILES, **quick)
    put(project, distance=1.0, temp=2.0)
    yield project
    project.store.close()


@pytest.fixture
def replica(clean_redis: RedisPair) -> Iterator[Store]:
    """The replica, to look into."""
    store = Store(clean_redis.replica_url)
    yield store
    store.close()


def put(project: EdgeProject, *, event_ms: int = 1, distance: float | None = None, temp: float | None = None) -> None:
    """Feature updates, as a data engineer sends them."""
    if distance is not None:
        assert project.features.put("flight", [Row("UA1", {"distance": distance}, event_ms)]).written == 1
    if temp is not None:
        assert project.features.put("weather", [Row("EWR", {"temp": temp}, event_ms)]).written == 1
    project.replicate()


def says(response: httpx.Response, distance: float, temp: float) -> bool:
    """Whether an answer is the model's for these features."""
    assert response.status_code == 200, response.text
    expected = direct(FILES["late", "default"], [[distance, temp]])[0]
    return bool(np.float32(response.json()["outputs"]["y"]) == expected)


def test_a_feature_update_becomes_a_row_and_a_log_record(project: EdgeProject) -> None:
    """On the primary, in one step: the log names what has changed, and the row knows the record's id."""
    before = project.store.call("XLEN", log_key("weather"))

    put(project, event_ms=2, temp=20.0)

    (record,) = project.store.call("XREVRANGE", log_key("weather"), "+", "-", "COUNT", 1)
    (row,) = project.features.get("weather", ["EWR"])
    assert project.store.call("XLEN", log_key("weather")) == before + 1
    assert record[1] == [b"e", b"EWR"]
    assert row is not None
    assert row.values == {"temp": 20.0}
    assert b"%d-%d" % (row.stamp.update_id >> 20, row.stamp.update_id & 0xFFFFF) == record[0]


def test_what_the_primary_has_reaches_the_replica(project: EdgeProject, replica: Store) -> None:
    """Row, log and entry, in one stream."""
    project.store.call("SET", "p:any:1:entry", "body", "PX", 60_000)
    project.replicate()

    names = [row_key("weather", "EWR"), "p:any:1:entry"]
    assert replica.call("MGET", *names) == project.store.call("MGET", *names)
    log = ("XRANGE", log_key("weather"), "-", "+")
    assert replica.call(*log) == project.store.call(*log) != []


def test_a_change_reaches_the_memory_tier_through_the_follower(project: EdgeProject) -> None:
    """What an edge remembers is fresh until the log on its replica says otherwise, and then never again."""
    with edge_process(project.settings) as edge:
        edge.get(PATH)
        remembered = edge.get(PATH)
        put(project, event_ms=2, temp=20.0)

        changed = wait_until(lambda: _unless_tier(edge.get(PATH), "memory"))

        assert says(remembered, 1.0, 2.0)
        assert says(changed, 1.0, 20.0)
        assert "nearcast-memory; fwd=stale" in changed.headers["cache-status"]
        assert edge.metric("nearcast_log_records_total") >= 3


def test_a_change_makes_the_refresher_have_hot_keys_computed(project: EdgeProject, replica: Store) -> None:
    """The edge finds the new prediction in its replica, and computes nothing itself."""
    project.store.call("ZADD", "hot:{late}", 100.0, "UA1:EWR")

    with (
        role("worker", project.settings),
        role("refresher", project.settings),
        edge_process(project.settings.model_copy(update={"warm_keys": 0})) as edge,
    ):
        put(project, event_ms=2, temp=20.0)
        wait_until(lambda: replica.call("EXISTS", ENTRY), 20.0, "the refresher had nothing computed")

        answer = wait_until(lambda: _of_tier(edge.get(PATH), "replica", "memory"))

        assert says(answer, 1.0, 20.0)
        assert edge.metric("nearcast_live_rows_total") <= 1


def test_a_request_is_answered_by_the_nearest_tier_that_can(project: EdgeProject) -> None:
    """Live, then memory; another edge from the replica; stale while it is computed anew; a default for want of time."""
    with edge_process(project.settings) as first, edge_process(project.settings) as second:
        tiers = [tier(first.get(PATH)), tier(first.get(PATH))]
        first.wait_for_metric("nearcast_write_backs_total", 1)
        project.replicate()
        tiers += [tier(second.get(PATH)), tier(second.get(PATH))]

        first.get("/v1/predict/patient/UA1")
        put(project, event_ms=2, distance=10.0)
        stale = wait_until(lambda: _of_tier(first.get("/v1/predict/patient/UA1"), "stale"))
        anew = wait_until(lambda: _of_tier(first.get("/v1/predict/patient/UA1"), "memory"))
        default = first.get("/v1/predict/guess/UA1?budget_ms=0.001")

    assert tiers == ["live", "memory", "replica", "memory"]
    assert stale.json()["stale"] is True
    assert stale.json()["outputs"] != anew.json()["outputs"]
    assert "stale" not in anew.json()
    assert (tier(default), default.json()["outputs"], default.json()["stale"]) == ("default", {"y": 0.5}, True)


def test_a_live_answer_is_written_back_and_serves_other_edges(project: EdgeProject, replica: Store) -> None:
    """From the edge to the primary, and from there to every replica."""
    with edge_process(project.settings) as edge:
        answer = edge.get(PATH)
        stored = wait_until(lambda: replica.call("GET", ENTRY))

    assert stored.endswith(answer.content)
    assert project.store.call("GET", ENTRY) == stored


def test_what_edges_count_is_computed_ahead_of_time(project: EdgeProject) -> None:
    """Requests make a key hot; scheduler and worker then keep an entry of it there, whoever loses it."""
    with (
        edge_process(project.settings) as edge,
        role("worker", project.settings),
        role("scheduler", project.settings),
    ):
        for _ in range(20):
            edge.get(PATH)
        wait_until(lambda: project.store.call("ZSCORE", "hot:{late}", "UA1:EWR"), message="the key is not hot")
        edge.wait_for_metric("nearcast_write_backs_total", 1)
        project.store.call("DEL", ENTRY)

        wait_until(lambda: project.store.call("EXISTS", ENTRY), 30.0, "nobody computes what is hot")
        assert _live_rows(edge) == 1


def _live_rows(edge: Edge) -> float:
    return edge.metric("nearcast_live_rows_total")


def _of_tier(response: httpx.Response, *wanted: str) -> httpx.Response | None:
    return response if tier(response) in wanted else None


def _unless_tier(response: httpx.Response, unwanted: str) -> httpx.Response | None:
    return None if tier(response) == unwanted else response
