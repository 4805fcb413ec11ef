"""`nearcast features` against a real Redis."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.run import run
from deploy.local.redis_pair import RedisPair
from tests.small_project import write_project

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


def document(answer: tuple[int, str, str]) -> Any:
    """The JSON of a command that went well."""
    status, out, err = answer
    assert status == 0, err
    return json.loads(out)


def test_a_row_is_put_read_and_deleted(nearcast: Command) -> None:
    """The three commands agree about one row."""
    put = document(
        nearcast("features", "put", "thing", "a", "v=1;2", "count=3", "--event-time", "2026-01-01", "--json")
    )
    row = document(nearcast("features", "get", "thing", "a", "--json"))
    deleted = document(nearcast("features", "delete", "thing", "a", "--json"))

    assert put["outcome"] == "written"
    assert row["values"] == {"v": [1.0, 2.0], "temp": None, "count": 3, "label": None}
    assert row["event_time"] == "2026-01-01T00:00:00.000Z"
    assert deleted["outcome"] == "deleted"
    assert nearcast("features", "get", "thing", "a") == (1, "", "nearcast: no row for thing 'a'\n")


def test_a_put_says_when_it_changed_nothing(nearcast: Command) -> None:
    """Equal values and older events are no change."""
    outcomes = [
        document(nearcast("features", "put", "thing", "a", value, "--event-time", time, "--json"))["outcome"]
        for value, time in [("v=1;2", "2000"), ("v=1;2", "3000"), ("v=5;6", "1000")]
    ]

    assert outcomes == ["written", "unchanged", "late"]


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("thing", "a", "v=1;x"), 1, "v: '1;x' is not a float32[2]"),
        (("thing", "a", "w=1"), 1, "view 'thing' has no field 'w'; it has: v, temp, count, label"),
        (("thing", "a", "count=1"), 1, "thing.v (float32[2]) is missing"),
        (("things", "a", "v=1;2"), 1, "no view 'things'; this project has: thing"),
        (("thing", "a", "v"), 2, "'v' is not FIELD=VALUE"),
        (("thing", "a", "v=1;2", "--event-time", "soon"), 1, "event time 'soon' is neither"),
    ],
)
def test_a_put_that_makes_no_sense_is_explained(
    nearcast: Command, arguments: tuple[str, ...], status: int, complaint: str
) -> None:
    """In one line that shows what would."""
    found, out, err = nearcast("features", "put", *arguments)

    assert (found, out, err.count("\n")) == (status, "", 1)
    assert err.startswith(f"nearcast: {complaint}")


def test_an_import_sums_up_what_became_of_the_rows(nearcast: Command) -> None:
    """Rejects lie in the working directory unless told otherwise; columns without a field are named."""
    Path("rows.csv").write_text("station,at,v,weather\na,1000,1;2,fine\nb,never,1;2,fine\nc,1000,3;4,fine\n")
    arguments = ("rows.csv", "--entity-column", "station", "--time-column", "at", "--json")

    status, out, err = nearcast("features", "import", "thing", *arguments)

    summary = json.loads(out)
    assert status == 0
    assert (summary["rows"], summary["written"], summary["rejected"]) == (3, 2, 1)
    assert summary["ignored_columns"] == ["weather"]
    assert "rows.csv.rejects.ndjson says why" in err
    reject = json.loads(Path("rows.csv.rejects.ndjson").read_text())
    assert (reject["number"], reject["row"]["station"]) == (3, "b")


def test_an_import_of_nothing_but_bad_rows_fails(nearcast: Command) -> None:
    """A file in a wrong format must not look like success."""
    Path("rows.csv").write_text("entity,v\na,x\nb,y\n")

    status, _, _ = nearcast("features", "import", "thing", "rows.csv", "--rejects", "bad.ndjson")

    assert status == 1
    assert len(Path("bad.ndjson").read_text().splitlines()) == 2


def test_a_format_may_be_named(nearcast: Command) -> None:
    """For pipes, and for files named by others."""
    Path("rows.txt").write_text('{"entity": "a", "v": [1, 2]}')

    refused, _, err = nearcast("features", "import", "thing", "rows.txt")
    accepted = document(nearcast("features", "import", "thing", "rows.txt", "--format", "ndjson", "--json"))

    assert (refused, "say --format" in err) == (2, True)
    assert accepted["written"] == 1
