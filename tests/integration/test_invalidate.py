"""Invalidation by hand, by command and over HTTP, as an edge's clients notice it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.run import run
from deploy.local.redis_pair import RedisPair
from precompute.keys import entry_key, hot_key
from tests.edge_process import Edge, edge_process, tier
from tests.edge_project import EdgeProject
from tests.roles import role
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

TOKEN = "open sesame"
KEYS = ["F0:EWR", "F1:EWR", "F2:JFK"]
PATH = "/v1/predict/late/"

Command = Callable[..., Any]


@pytest.fixture
def project(tmp_path: Path, clean_redis: RedisPair) -> Iterator[EdgeProject]:
    """Three keys, all hot."""
    published = EdgeProject.publish(tmp_path, clean_redis)
    published.put_flights(["F0", "F1", "F2"], [0.1, 0.2, 0.3])
    published.put_weather({"EWR": 0.5, "JFK": 0.6})
    for rank, key in enumerate(KEYS):
        published.store.call("ZADD", hot_key("late"), 9.0 - rank, f"{key}?hour=12")
    published.replicate()
    yield published
    published.store.close()


@pytest.fixture
def edge(project: EdgeProject, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edge]:
    """An edge that has answered each key once."""
    # A settings object dumps it masked, so that it reaches the process by itself.
    monkeypatch.setenv("NEARCAST_ADMIN_TOKEN", TOKEN)
    with edge_process(project.settings) as running:
        for key in KEYS:
            running.get(PATH + key)
        yield running


@pytest.fixture
def nearcast(project: EdgeProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command with `--json`; returns its document."""
    monkeypatch.setenv("NEARCAST_PRIMARY_URL", project.settings.primary_url)
    monkeypatch.setenv("NEARCAST_PROJECT", str(project.settings.project))

    def command(*arguments: str) -> Any:
        status = run([*arguments, "--json"])
        out, err = capsys.readouterr()
        assert status == 0, err
        return json.loads(out)

    return command


def post(edge: Edge, token: str | None = TOKEN, **body: object) -> Any:
    """One order over HTTP."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return edge.client.post("/v1/invalidate", json=body, headers=headers)


def recomputed(edge: Edge, keys: list[str]) -> None:
    """Waits until the edge answers exactly these from the model again; everything else still from memory."""
    wait_until(lambda: tier(edge.get(PATH + keys[0])) == "live", message="still fresh")
    assert [key for key in KEYS if tier(edge.get(PATH + key)) == "live"] == keys[1:]


@pytest.mark.parametrize(
    ("arguments", "stale"),
    [
        (["--model", "late", "--key", "F1:EWR"], ["F1:EWR"]),
        (["--view", "weather", "--entity", "EWR"], ["F0:EWR", "F1:EWR"]),
        (["--model", "late", "--all"], KEYS),
        (["--model", "late"], KEYS),
    ],
)
def test_a_command_makes_stale_what_it_names_and_nothing_else(
    nearcast: Command, edge: Edge, arguments: list[str], stale: list[str]
) -> None:
    """The edge answers it from the model at the next request."""
    done = nearcast("invalidate", *arguments, "--why", "a test")

    recomputed(edge, stale)
    assert [key["key"] for key in done["first"]] == [f"{key}?hour=12" for key in stale]
    assert done["order"]["why"] == "a test"


def test_a_dry_run_changes_nothing(nearcast: Command, edge: Edge, project: EdgeProject) -> None:
    """It says how many hot predictions it would be, and which come first."""
    told = nearcast("invalidate", "--view", "weather", "--entity", "EWR", "--dry-run")

    assert (told["given"], told["hot_keys"], told["first"][0]["key"]) == (False, 2, "F0:EWR?hour=12")
    project.replicate()
    assert [tier(edge.get(PATH + key)) for key in KEYS] == ["memory"] * 3
    assert nearcast("invalidate", "--list")["orders"] == []


def test_every_order_is_listed_with_who_and_why(nearcast: Command, edge: Edge) -> None:
    """Whichever way it was given, newest first."""
    nearcast("invalidate", "--model", "late", "--why", "bad labels")
    assert post(edge, view="weather", entity="EWR", why="broken sensor").status_code == 200

    over_http, by_command = nearcast("invalidate", "--list")["orders"]

    assert (over_http["view"], over_http["entity"], over_http["why"]) == ("weather", "EWR", "broken sensor")
    assert over_http["who"] == "admin token from 127.0.0.1"
    assert (by_command["model"], by_command["key"], by_command["why"]) == ("late", None, "bad labels")
    assert "@" in by_command["who"]


def test_people_are_shown_what_happened(
    project: EdgeProject, nearcast: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    """In words, with the hottest keys; and a list that can be read."""
    statuses = [
        run(["invalidate", "--model", "late", "--why", "bad labels"]),
        run(["invalidate", "--view", "weather", "--entity", "EWR", "--dry-run"]),
        run(["invalidate", "--list"]),
    ]

    out = capsys.readouterr().out
    assert statuses == [0, 0, 0]
    assert "all of late is stale now; 3 hot prediction(s) among it" in out
    assert "weather EWR would become stale; 2 hot" in out
    assert "bad labels" in out


@pytest.mark.parametrize(
    "arguments",
    [[], ["--model", "early"], ["--model", "late", "--key", "x"], ["--view", "weather"], ["--entity", "EWR"]],
)
def test_a_command_that_makes_no_sense_says_why(
    project: EdgeProject, nearcast: Command, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """On one line, with a status that is not 0."""
    status = run(["invalidate", *arguments])

    out, err = capsys.readouterr()
    assert (status, out, err.count("\n")) == (1, "", 1)


@pytest.mark.parametrize(
    ("body", "stale"),
    [
        ({"model": "late", "key": "F1:EWR"}, ["F1:EWR"]),
        ({"view": "weather", "entity": "EWR"}, ["F0:EWR", "F1:EWR"]),
        ({"model": "late", "all": True}, KEYS),
    ],
)
def test_the_same_goes_over_http(edge: Edge, body: dict[str, object], stale: list[str]) -> None:
    """For whoever has the token."""
    reply = post(edge, **body)

    recomputed(edge, stale)
    assert (reply.status_code, reply.json()["hot_keys"]) == (200, len(stale))


@pytest.mark.parametrize(
    ("token", "body", "status"),
    [
        (None, {"model": "late"}, 401),
        ("open", {"model": "late"}, 401),
        (TOKEN, {}, 400),
        (TOKEN, {"model": "late", "colour": "red"}, 400),
        (TOKEN, {"model": "early"}, 404),
        (TOKEN, {"model": "late", "why": "x" * 20_000}, 413),
    ],
)
def test_http_refuses_with_a_reason(edge: Edge, token: str | None, body: dict[str, object], status: int) -> None:
    """A problem document, and everything is as fresh as before."""
    reply = post(edge, token, **body)

    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert (status == 401) is ("www-authenticate" in reply.headers)
    assert [tier(edge.get(PATH + key)) for key in KEYS] == ["memory"] * 3


def test_without_a_configured_token_http_changes_nothing(project: EdgeProject) -> None:
    """The refusal says what to configure."""
    with edge_process(project.settings) as edge:
        reply = post(edge, "", model="late")

    assert reply.status_code == 403
    assert "NEARCAST_ADMIN_TOKEN" in reply.json()["detail"]


def test_refresh_has_the_hot_ones_recomputed(nearcast: Command, project: EdgeProject) -> None:
    """By the workers, who are asked straight away; the others wait until somebody asks."""
    with role("worker", project.settings):
        done = nearcast("invalidate", "--view", "weather", "--entity", "EWR", "--refresh")
        wait_until(lambda: _stored(project, KEYS[:2]) == 2, 20.0, "not recomputed")

    assert done["order"]["refreshed"] == 2
    assert _stored(project, KEYS[2:]) == 0


def test_refresh_over_http_goes_through_the_scheduler(edge: Edge, project: EdgeProject) -> None:
    """An edge knows no broker, so that it leaves a wish with the primary."""
    with role("worker", project.settings), role("scheduler", project.settings):
        before = _computed_ms(project, KEYS[0])
        assert post(edge, model="late", key=KEYS[0], refresh=True).json()["order"]["refreshed"] == 1
        wait_until(lambda: _computed_ms(project, KEYS[0]) > before, 30.0, "not recomputed")


def test_forgetting_a_row_removes_its_predictions(nearcast: Command, edge: Edge, project: EdgeProject) -> None:
    """From Redis, and no edge answers from it any more, not even as stale."""
    wait_until(lambda: _stored(project, KEYS) == 3, message="not written back")

    done = nearcast("features", "delete", "flight", "F1")

    assert (done["outcome"], done["predictions_removed"]) == ("deleted", 1)
    wait_until(lambda: edge.get(PATH + "F1:EWR").status_code == 422, message="still answered")
    assert _stored(project, KEYS) == 2


def _stored(project: EdgeProject, keys: list[str]) -> int:
    return int(project.store.call("EXISTS", *(entry_key("late", 1, f"{key}?hour=12") for key in keys)))


def _computed_ms(project: EdgeProject, key: str) -> int:
    value: bytes | None = project.store.call("GET", entry_key("late", 1, f"{key}?hour=12"))
    return int.from_bytes(value[6:14], "little") if value else 0
