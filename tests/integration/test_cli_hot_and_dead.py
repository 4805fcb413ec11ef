"""`nearcast hot` and `nearcast dead` against a real Redis."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.cli.run import run
from deploy.local.redis_pair import RedisPair
from precompute import dead_letters, hotkeys
from precompute.dead_letters import Letter
from precompute.hot_counter import HotCounter
from precompute.hotkeys import MergeRule, flush_commands
from precompute.keys import log_key
from precompute.store import Store
from tests.small_project import small_project, write_project
from workers import plan_notes
from workers.change_rates import ChangeRates
from workers.refresh_plan import HotScores, RefreshPlanner

pytestmark = pytest.mark.integration

Captured = pytest.CaptureFixture[str]
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def nearcast(clean_redis: RedisPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Command:
    """Runs a command in a directory with the small project; returns status, output and messages."""
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEARCAST_PRIMARY_URL", clean_redis.primary_url)

    def command(*arguments: str) -> tuple[int, str, str]:
        status = run(arguments)
        return status, *capsys.readouterr()

    return command


@pytest.fixture
def primary(clean_redis: RedisPair) -> Store:
    """The primary."""
    return Store(clean_redis.primary_url)


def count_requests(store: Store) -> None:
    """As an edge and the scheduler would: `a` is asked for four times as often as `b`."""
    counter = HotCounter()
    for key in ("a", "a", "a", "a", "b"):
        counter.hit(key)
    blob = counter.drain()
    assert blob is not None
    store.run(flush_commands("score", blob))
    hotkeys.merge(store, "score", MergeRule(half_life_s=600.0, keep=100), 1_000)


def test_hot_shows_rates_and_error_bounds(nearcast: Command, primary: Store) -> None:
    """Also while no refresher runs."""
    count_requests(primary)

    status, out, _ = nearcast("hot", "score", "--json")
    answer = json.loads(out)

    assert status == 0
    assert [key["key"] for key in answer["keys"]] == ["a", "b"]
    assert answer["keys"][0]["requests_per_s"] == pytest.approx(4 * answer["keys"][1]["requests_per_s"])
    assert answer["keys"][0]["at_most_per_s"] == answer["keys"][0]["requests_per_s"] + answer["error_per_s"]
    assert (answer["error_per_s"], answer["windows"], answer["plan"]) == (0.0, 1, None)


def test_hot_shows_what_the_refresher_makes_of_it(nearcast: Command, primary: Store) -> None:
    """Which keys it refreshes on a change, and what that takes."""
    count_requests(primary)
    rated, state = hotkeys.snapshot(primary, "score", 10)
    planner = RefreshPlanner(600.0, ChangeRates(600.0, 0.0))
    plans = planner.plan(small_project().models, {"score": HotScores(rated, state.merged_ms)}, {}, 1e6, 1.0)
    primary.run([plan_notes.write_command("score", plans["score"], 5_000)])

    answer = json.loads(nearcast("hot", "score", "--json")[1])
    _, out, err = nearcast("hot", "score")

    assert answer["plan"]["hot_keys"] == 2
    assert answer["keys"][0]["refreshed"] is True
    assert answer["keys"][0]["chance"] == 1.0
    assert "refreshed" in out
    assert "refresh = value: 1 of 2 hot keys" in err


def test_dead_letters_are_listed_replayed_and_dropped(nearcast: Command, primary: Store) -> None:
    """By id or all of them; what is unknown is refused."""
    letters = [Letter("updates", log_key("thing"), f"5-{i}", "names no entity", 1, (b"x", b"\xff")) for i in range(3)]
    dead_letters.add(primary, *letters)

    listed = json.loads(nearcast("dead", "list", "--json")[1])["letters"]
    replayed = json.loads(nearcast("dead", "replay", letters[0].id, "--entity", "a", "--json")[1])
    dropped = json.loads(nearcast("dead", "drop", "--all", "--json")[1])
    unknown = nearcast("dead", "drop", "nonsense")
    unclear = nearcast("dead", "drop")

    assert [letter["id"] for letter in listed] == [letter.id for letter in reversed(letters)]
    assert listed[0]["content"] == r"x \xff"
    assert replayed == {"replayed": [letters[0].id]}
    assert sorted(dropped["dropped"]) == sorted(letter.id for letter in letters[1:])
    assert primary.call("XRANGE", log_key("thing"), "-", "+")[0][1] == [b"e", b"a"]
    assert (unknown[0], unclear[0]) == (1, 2)
