"""`nearcast why` against a real edge."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.run import run
from deploy.local.redis_pair import RedisPair
from precompute.keys import hot_key
from tests.edge_process import Edge, address, edge_process, tier
from tests.edge_project import EdgeProject
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

KEY = "F0:EWR"
PATH = f"/v1/predict/late/{KEY}"


@pytest.fixture
def project(tmp_path: Path, clean_redis: RedisPair) -> Iterator[EdgeProject]:
    """One key with all its rows, asked for often."""
    published = EdgeProject.publish(tmp_path, clean_redis)
    published.put_flights(["F0"], [0.1])
    published.put_weather({"EWR": 0.5})
    published.store.call("ZADD", hot_key("late"), 4.0, f"{KEY}?hour=12")
    published.replicate()
    yield published
    published.store.close()


@pytest.fixture
def edge(project: EdgeProject) -> Iterator[Edge]:
    """An edge with an empty memory."""
    with edge_process(project.settings) as running:
        yield running


@pytest.fixture
def why(edge: Edge, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Asks with `--json`; returns the document."""

    def command(*arguments: str) -> Any:
        status = run(["why", "late", KEY, *arguments, "--edge", address(edge.role), "--json"])
        out, err = capsys.readouterr()
        assert status == 0, err
        return json.loads(out)

    return command


def test_an_answer_is_foretold_from_miss_to_hit_to_change(
    project: EdgeProject, edge: Edge, why: Callable[..., Any]
) -> None:
    """Each time the tier that is named then answers, and a change is named with its record."""
    foretold, answered = [], []
    for _ in range(2):
        foretold.append(why()["would_answer"])
        answered.append(tier(edge.get(PATH)))
    project.put_weather({"EWR": 0.9}, event_ms=2)
    wait_until(lambda: why()["would_answer"] != "memory", message="the change is not followed")
    changed = why()
    foretold.append(changed["would_answer"])
    answered.append(tier(edge.get(PATH)))

    assert foretold == answered == ["live", "memory", "live"]
    (reason,) = changed["tiers"][0]["reasons"]
    assert (reason["reason"], reason["view"], reason["entity"]) == ("changed", "weather", "EWR")
    weather = changed["dependencies"][1]
    assert reason["id"] == weather["row"]["changed"]["id"] == weather["last_change_followed"]["id"]


def test_asking_why_is_no_request(edge: Edge, why: Callable[..., Any]) -> None:
    """No counter moves, and nothing is in memory afterwards."""
    for _ in range(5):
        why()
        why("hour=3")

    assert edge.metric("nearcast_requests_total") == 0
    assert (edge.metric("nearcast_memory_entries"), edge.metric("nearcast_live_rows_total")) == (0, 0)
    assert edge.metric("nearcast_write_backs_total") == 0


def test_hotness_versions_and_context_are_told(edge: Edge, why: Callable[..., Any]) -> None:
    """Of exactly the key that was asked about."""
    asked, other = why(), why("hour=3", "--variant", "fast")

    assert (asked["key"], asked["version"], asked["hotness"]["rank"]) == (f"{KEY}?hour=12", 1, 1)
    assert (other["key"], other["variant"], other["hotness"]["rank"]) == (f"{KEY}?hour=3", "fast", None)
    assert asked["versions_ready"] == [1, 2]


def test_people_get_tables(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    """What would answer, each tier with its reason, each dependency with its change."""
    edge.get(PATH)

    status = run(["why", "late", KEY, "--edge", address(edge.role)])

    out = capsys.readouterr().out
    assert status == 0
    for text in ("would answer", "memory", "stale-if-error", "weather", "EWR", "rank 1"):
        assert text in out


@pytest.mark.parametrize(
    ("path", "status"),
    [("late", 400), ("late/F0", 404), ("early/F0:EWR", 404), ("unborn/EWR", 503), (f"late/{KEY}?hour=99", 400)],
)
def test_what_cannot_be_explained_is_a_problem(edge: Edge, path: str, status: int) -> None:
    """The same problems that a prediction would have."""
    reply = edge.get(f"/v1/why/{path}")

    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"


def test_no_value_of_a_row_is_shown(edge: Edge) -> None:
    """When rows changed is told, what they hold is not."""
    project_values = {"distance", "slack", "temp", "outputs"}

    text = edge.get(f"/v1/why/late/{KEY}").text

    assert not [name for name in project_values if name in text]
    assert len(text) < 10_000
