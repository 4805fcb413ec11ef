"""`nearcast experiment` against a real Redis."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.run import run
from deploy.local.redis_pair import RedisPair
from precompute.experiment_store import ExperimentStore
from precompute.exposures import Exposure, count_commands, record_command
from precompute.keys import EXPERIMENTS, exposures_key
from precompute.manifest import load
from precompute.registry import Registry
from precompute.store import Store
from tests.small_project import model, write_project

pytestmark = pytest.mark.integration

Captured = pytest.CaptureFixture[str]
Command = Callable[..., tuple[int, Any, str]]

IN_FILE = """
[experiments.filed]
model = "score"
slice = [0.0, 0.4]
arms = { a = { variant = "default" }, b = { variant = "other" } }
"""
ADD = ("experiment", "add", "new", "score", "--arm", "old=default:9", "--arm", "young=2:1")


@pytest.fixture
def store(clean_redis: RedisPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The small project with an experiment in its file, and two versions."""
    path = write_project(tmp_path)
    path.write_text(path.read_text() + IN_FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEARCAST_PRIMARY_URL", clean_redis.primary_url)
    opened = Store(clean_redis.primary_url)
    for seed in (1, 2):
        Registry(opened, load(path)).publish("score", "default", model(seed), now_ms=1)
    yield opened
    opened.close()


@pytest.fixture
def nearcast(store: Store, capsys: Captured) -> Command:
    """Runs a command; returns status, document or text, and messages."""

    def command(*arguments: str, people: bool = False) -> tuple[int, Any, str]:
        capsys.readouterr()
        status = run(list(arguments) if people else [*arguments, "--json"])
        out, err = capsys.readouterr()
        return status, out if people else json.loads(out) if out else None, err

    return command


def test_an_experiment_is_added_shown_stopped_and_removed(nearcast: Command, store: Store) -> None:
    """Where there is room in its layer; what was recorded goes with it."""
    status, document, err = nearcast(
        *ADD, "--share", "0.2", "--audience", "key.thing=t1,t2", "--end", "2099-01-01T00:00Z"
    )

    assert (status, err) == (0, "")
    assert document | {"stopped_at": None} == nearcast("experiment", "show", "new")[1]
    assert document["slice"] == [0.4, 0.6]
    assert document["arms"] == {
        "old": {"variant": "default", "version": None, "share": 0.9},
        "young": {"variant": None, "version": 2, "share": 0.1},
    }
    assert document["audience"] == {"key.thing": ["t1", "t2"]}
    assert (document["state"], document["declared_in"]) == ("running", "command")
    listed = nearcast("experiment", "list")[1]["experiments"]
    assert [(one["name"], one["declared_in"]) for one in listed] == [("filed", "project file"), ("new", "command")]

    assert nearcast("experiment", "remove", "new")[0] == 1
    assert nearcast("experiment", "stop", "new")[1]["state"] == "over"
    store.call("XADD", exposures_key("new"), "*", "at", 1)
    assert nearcast("experiment", "remove", "new")[1] == {"removed": "new"}
    assert store.call("EXISTS", EXPERIMENTS, exposures_key("new")) == 0


def test_one_of_the_project_file_can_only_be_stopped(nearcast: Command) -> None:
    """The rest is done there."""
    assert nearcast("experiment", "remove", "filed")[2].startswith("nearcast: experiment 'filed' is declared in the")
    stopped = nearcast("experiment", "stop", "filed")[1]

    assert (stopped["state"], stopped["declared_in"]) == ("over", "project file")
    assert nearcast("experiment", "stop", "filed")[2] == "nearcast: experiment 'filed' is over already\n"
    # And its slice is free.
    assert nearcast(*ADD)[1]["slice"] == [0, 1]


@pytest.mark.parametrize(
    ("more", "status", "complaint"),
    [
        ((), 1, "slice [0, 1] of layer 'score' is partly taken: experiment 'filed' has [0, 0.4]; free at that time"),
        (("--share", "0.7"), 1, "layer 'score' has no room for 0.7 in one piece then; the largest is 0.6"),
        (("--layer", "else"), 1, "layer must be 'score', that of experiment 'filed' of model 'score'"),
        (("--arm", "third=9", "--share", "0.1"), 1, "model 'score' has no version 9; published: 1, 2"),
        (("--arm", "third=nobody"), 2, "[experiments.new.arms.third] variant: no variant 'nobody'"),
        (("--unit", "key.place"), 2, "[experiments.new] unit: no part 'place'"),
        (("--audience", "color=red"), 2, "--audience color=red: write PLACE=VALUE, such as key.origin=EWR,JFK"),
        (("--audience", "cookie.a=b"), 2, "[experiments.new.audience] cookie: unknown key"),
        (("--slice", "1"), 2, "--slice is written as FROM:TO, such as 0.2:0.4"),
        (("--slice", "0:x"), 2, "--slice: 'x' is not a number"),
        (("--slice", "0.5:1", "--share", "0.1"), 2, "say one of them"),
        (("--arm", "old=default"), 2, "--arm old=default: write each arm once"),
        (("--start", "tomorrow"), 2, "[experiments.new] start: 'tomorrow' is no date and time"),
    ],
)
def test_a_mistake_gets_one_line_and_changes_nothing(
    nearcast: Command, store: Store, more: tuple[str, ...], status: int, complaint: str
) -> None:
    """That says what, where, and what to do."""
    found, document, err = nearcast(*ADD, *more)

    assert (found, document) == (status, None)
    assert complaint in err
    assert err.count("\n") == 1
    assert store.call("EXISTS", EXPERIMENTS) == 0


def test_shares_change_when_it_is_added_again(nearcast: Command) -> None:
    """On purpose only."""
    nearcast(*ADD, "--slice", "0.5:1")
    again = ("experiment", "add", "new", "score", "--arm", "old=default", "--arm", "young=2", "--slice", "0.5:1")

    assert nearcast(*again)[2].endswith("exists already; take another name, or say --replace\n")
    assert nearcast(*again, "--replace")[1]["arms"]["young"]["share"] == 0.5


def test_an_arm_that_nothing_is_published_for_is_told_of(nearcast: Command) -> None:
    """The experiment waits for it."""
    nearcast("experiment", "stop", "filed")

    err = nearcast("experiment", "add", "new", "score", "--arm", "a=default", "--arm", "b=other", people=True)[2]

    assert err == "nearcast: it waits for a version of other, of which none is published yet\n"


def test_one_that_does_not_fit_any_more_is_listed_with_the_reason(nearcast: Command, store: Store) -> None:
    """And can be removed."""
    store.call("HSET", EXPERIMENTS, "odd", b'{"table":{"model":"gone"},"added_ms":1}')

    document, err = nearcast("experiment", "list")[1:]
    assert set(document["broken"]) == {"odd"}
    assert "experiment odd does not run: " in err
    assert nearcast("experiment", "report", "odd")[0] == 1
    assert nearcast("experiment", "remove", "odd")[0] == 0
    assert nearcast("experiment", "remove", "odd")[2] == "nearcast: no experiment 'odd'; there are: filed\n"


def test_a_report_says_what_is_known_and_what_is_missing(nearcast: Command, store: Store, tmp_path: Path) -> None:
    """Units, tiers, latency, outcomes; and that units are missing."""
    it = ExperimentStore(store, load(tmp_path / "nearcast.toml")).get("filed").experiment
    plan = it.fingerprint()

    def exposure(arm: str, unit: str, **more: Any) -> Exposure:
        said = {"tier": "memory", "took_us": 200, "plan": plan, **more}
        return Exposure(1, arm, unit, "k", 1, said["tier"], said["took_us"], said["plan"], said.get("override", False))

    records = [exposure("a", f"u{n}") for n in range(300)] + [exposure("b", f"v{n}", tier="live") for n in range(200)]
    records += [exposure("b", "w", plan="before"), exposure("b", "t", override=True)]
    store.run([record_command("filed", record, 100_000) for record in records])
    answers = Counter((record.arm, record.tier, record.override) for record in records)
    answers["a", "memory", False] += 100
    store.run(count_commands("filed", answers, len(records)))
    (tmp_path / "bought.csv").write_text("unit,value\n" + "".join(f"u{n},1\n" for n in range(150)) + "v1,1\nnobody,1\n")

    status, document, _ = nearcast("experiment", "report", "filed", "--outcomes", "bought.csv")

    assert status == 0
    assert document["sample_ratio"]["mismatch"] and document["sample_ratio"]["p"] < 1e-4
    assert document["records"] == {"kept": 502, "gone": 0, "of_earlier_shares": 1}
    a, b = document["arms"]
    assert (a["units"], a["answers"], a["hits"]["estimate"]) == (300, {"memory": 400}, 1.0)
    assert (b["units"], b["answers"], b["overrides"], b["hits"]["estimate"]) == (
        200,
        {"live": 200, "memory": 1},
        1,
        0.0,
    )
    assert b["mean_ms"] == {"estimate": 0.2, "low": 0.2, "high": 0.2}
    outcomes = document["outcomes"]
    assert outcomes["kind"] == "share"
    assert [one["value"]["estimate"] for one in outcomes["arms"]] == [0.5, 0.005]
    assert outcomes["arms"][1]["difference_to_first"]["high"] < -0.4

    status, text, err = nearcast("experiment", "report", "filed", "--outcomes", "bought.csv", people=True)
    assert status == 0
    assert "sample ratio p = " in text and "difference_to_first" in text
    assert "sample ratio mismatch: chance brings such numbers of units once in" in err
    assert "1 record(s) are from before shares were changed" in err


def test_outcomes_that_are_none_are_refused(nearcast: Command, tmp_path: Path) -> None:
    """With the line."""
    (tmp_path / "odd.csv").write_text("unit,value\nu1,1\nu2,many\n")
    (tmp_path / "other.csv").write_text("user,value\n")

    for file, complaint in (("odd.csv", "line 3 has no unit, or a value"), ("other.csv", "the columns unit and value")):
        status, _, err = nearcast("experiment", "report", "filed", "--outcomes", file)
        assert status == 1
        assert complaint in err
    assert nearcast("experiment", "report", "filed")[1]["arms"][0]["hits"] is None
