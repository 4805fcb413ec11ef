"""`nearcast jobs` against a real Redis: what is declared, and what can be asked about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.run import run
from deploy.local.redis_pair import RedisPair
from precompute.features import Features, Row
from precompute.manifest import load
from precompute.registry import Registry
from precompute.settings import Settings
from precompute.store import Store
from tests.roles import role
from tests.small_project import model, write_project
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

Captured = pytest.CaptureFixture[str]
Command = Callable[..., Any]

IN_FILE = """
[jobs.file]
model = "score"
all = true
cron = "0 3 * * *"
timezone = "Europe/Berlin"
window = "02:00-04:00"
"""


@pytest.fixture
def settings(clean_redis: RedisPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A directory with the small project, one job in its file, ten rows and a published model."""
    path = write_project(tmp_path)
    path.write_text(path.read_text() + IN_FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEARCAST_PRIMARY_URL", clean_redis.primary_url)
    store, project = Store(clean_redis.primary_url), load(path)
    Registry(store, project).publish("score", "default", model(), now_ms=1)
    Features(store, project).put("thing", [Row(f"t{i}", {"v": [1.0, 2.0], "temp": 1.0}, 1) for i in range(10)])
    store.close()
    return Settings(project=path, primary_url=clean_redis.primary_url, lease_ttl_s=1.0)


@pytest.fixture
def nearcast(settings: Settings, capsys: Captured) -> Command:
    """Runs a command with `--json`; returns its document."""

    def command(*arguments: str) -> Any:
        status = run([*arguments, "--json"])
        out, err = capsys.readouterr()
        assert status == 0, err
        return json.loads(out)

    return command


@pytest.fixture
def refused(settings: Settings, capsys: Captured) -> Callable[..., str]:
    """Runs a command that must fail; returns what it says."""

    def command(*arguments: str) -> str:
        status = run([*arguments])
        out, err = capsys.readouterr()
        assert (status != 0, out) == (True, "")
        return err

    return command


def test_a_job_is_added_shown_paused_resumed_and_removed(nearcast: Command) -> None:
    """Beside that of the project file."""
    added = nearcast("jobs", "add", "warm", "score", "--hot", "100", "--every", "60", "--jitter", "5", "--overlap",
                     "replace", "--priority", "low", "--time-limit", "30", "--missed", "skip")  # fmt: skip
    paused = nearcast("jobs", "pause", "warm")
    listed = nearcast("jobs", "list")["declared"]
    resumed = nearcast("jobs", "resume", "warm")
    shown = nearcast("jobs", "show", "warm")
    removed = nearcast("jobs", "remove", "warm")

    assert {name: added[name] for name in ("keys", "when", "jitter_s", "priority", "time_limit_s")} == {
        "keys": "hot 100", "when": "every 60 s", "jitter_s": 5.0, "priority": "low", "time_limit_s": 30.0,
    }  # fmt: skip
    assert (added["overlap"], added["missed"], added["variants"]) == ("replace", "skip", ["default"])
    assert [(job["name"], job["declared_in"], job["state"]) for job in listed] == [
        ("file", "manifest", "waiting"),
        ("warm", "command", "paused"),
    ]
    assert (paused["next_at"], resumed["state"]) == (None, "waiting")
    assert shown["next_at"] is not None
    assert removed == {"removed": "warm", "left": ["file"]}


def test_the_keys_of_a_file_are_read_at_once(nearcast: Command, refused: Callable[..., str]) -> None:
    """And refused at once."""
    Path("keys.txt").write_text("t1\n# no key\nt2\n")
    Path("empty.txt").write_text("# nothing\n")
    Path("wrong.txt").write_text("t1\na:b\n")

    added = nearcast("jobs", "add", "some", "score", "--keys", "keys.txt", "--on", "publish")
    said = [
        refused("jobs", "add", "other", "score", "--keys", name, "--on", "publish")
        for name in ("empty.txt", "wrong.txt", "none.txt")
    ]

    assert added["keys"] == "file keys.txt"
    assert "the key file names no keys" in said[0]
    assert "1 of 2 keys are wrong: key 'a:b'" in said[1]
    assert "cannot read none.txt" in said[2]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--cron", "0 0 30 2 *", "--all"], "cron '0 0 30 2 *' never fires"),
        (["--every", "60"], "names no keys: say all = true"),
        (["--all"], "is never due: say cron, every_s"),
        (["--all", "--every", "60", "--variant", "none"], "no variant 'none'; model 'score' has: default, other"),
        (["--dependents", "thing", "--every", "60"], "--dependents is written as VIEW:ENTITY"),
        (["--dependents", "sea:x", "--every", "60"], "does not read view 'sea'"),
        (["--all", "--on", "view-update"], 'view goes with on = "view-update"'),
    ],
)
def test_a_job_that_makes_no_sense_is_refused(
    options: list[str], complaint: str, refused: Callable[..., str], nearcast: Command
) -> None:
    """With the reason, and nothing is kept of it."""
    said = refused("jobs", "add", "bad", "score", *options)

    assert complaint in " ".join(said.replace("│", " ").split())
    assert [job["name"] for job in nearcast("jobs", "list")["declared"]] == ["file"]


def test_a_job_of_the_project_file_is_changed_there(refused: Callable[..., str]) -> None:
    """By command it can be paused, and run, and that is all."""
    add = refused("jobs", "add", "file", "score", "--all", "--every", "60", "--replace")
    remove = refused("jobs", "remove", "file")
    unknown = refused("jobs", "pause", "none")

    assert "job 'file' is declared in the project file; change it there" in add
    assert "remove it there, or pause it" in remove
    assert "no declared job 'none'; there are: file" in unknown


def test_a_declared_job_can_be_run_by_hand(nearcast: Command, settings: Settings, refused: Callable[..., str]) -> None:
    """By its name; a model is run with the keys that are meant, whatever declared jobs are called."""
    nearcast("jobs", "add", "score", "score", "--all", "--cron", "0 3 * * *")
    with role("worker", settings):
        by_name = nearcast("jobs", "run", "score")
        by_model = nearcast("jobs", "run", "score", "--all")
    history = nearcast("jobs", "history", "score")["runs"]
    everything = nearcast("jobs", "history")["runs"]

    assert by_name["declared_job"] == "score"
    assert [(job["written"], job["declared_job"]) for job in by_name["jobs"]] == [(10, "score")]
    assert (by_model["written"], by_model["declared_job"]) == (10, None)
    assert [(run["by"], run["state"], run["written"]) for run in history] == [("hand", "finished", 10)]
    assert len(everything) == 2
    assert "is no declared job; of a model, say which keys" in refused("jobs", "run", "none")
    assert "a declared job has its own" in refused("jobs", "run", "score", "--variant", "other")


def test_the_history_has_start_end_keys_rate_and_failures(nearcast: Command, settings: Settings) -> None:
    """Newest first; of the runs that a scheduler started, and of those that did not happen."""
    Path("keys.txt").write_text("t1\nt2\nunknown\n")
    nearcast("jobs", "add", "quick", "score", "--keys", "keys.txt", "--every", "0.5")
    nearcast("jobs", "add", "hot", "score", "--hot", "5", "--every", "0.5")

    def ended(job: str, state: str) -> list[dict[str, Any]]:
        return [r for r in nearcast("jobs", "history", job)["runs"] if r["state"] == state]

    with role("worker", settings), role("scheduler", settings):
        wait_until(lambda: len(ended("quick", "finished")) >= 2)
        wait_until(lambda: ended("hot", "refused"))
    runs = ended("quick", "finished")
    refusal = ended("hot", "refused")[0]
    last = nearcast("jobs", "show", "quick")["last_run"]

    assert all((r["total"], r["written"], r["failed"], r["by"]) == (3, 2, 1, "scheduler") for r in runs)
    assert all(r["due_at"] <= r["started_at"] < r["ended_at"] and r["keys_per_s"] > 0 for r in runs)
    assert [r["ended_at"] for r in runs] == sorted((r["ended_at"] for r in runs), reverse=True)
    assert refusal["reason"] == "no keys: hot 5 of model 'score' is empty"
    assert last in {"finished", "skipped"}
    assert nearcast("jobs", "failures", runs[0]["jobs"][0])["failures"][0]["key"].startswith("unknown")


def test_people_get_tables(nearcast: Command, capsys: Captured) -> None:
    """Of the same."""
    nearcast("jobs", "add", "warm", "score", "--hot", "100", "--every", "60")

    statuses = [run(["jobs", *words]) for words in (["list"], ["show", "file"], ["history"], ["history", "warm"])]

    out, _ = capsys.readouterr()
    assert statuses == [0, 0, 0, 0]
    assert "cron 0 3 * * *" in out
    assert "every 60 s" in out
    assert "Europe/Berlin" in out
