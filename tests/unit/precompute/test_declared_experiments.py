"""What is declared where, and what of it runs."""

from __future__ import annotations

import json

from precompute.declared_experiments import DeclaredExperiments
from precompute.manifest import parse
from tests.unit.precompute.test_experiment_table import ARMS, BASE

TABLE = {"model": "rank", "arms": {"a": {"variant": "default"}, "b": {"variant": "fast"}}}
IN_FILE = f"[experiments.filed]\nmodel = 'rank'\nslice = [0, 0.5]\n{ARMS}\n"


def stored(name: str, table: object = None, added_ms: int = 1, stopped_ms: int | None = None) -> list[bytes]:
    """An item of the hash."""
    return [name.encode(), json.dumps({"table": table, "added_ms": added_ms, "stopped_ms": stopped_ms}).encode()]


def reader(text: str = "") -> DeclaredExperiments:
    """Reads beside a project file."""
    return DeclaredExperiments(parse(BASE + text))


def test_the_project_file_comes_first_then_who_was_added_first() -> None:
    """Whoever wants what is taken does not run, and it is said why."""
    reply = [
        *stored("late", {**TABLE, "slice": [0.6, 0.8]}, added_ms=9),
        *stored("early", {**TABLE, "slice": [0.5, 0.7]}, added_ms=5),
        *stored("greedy", TABLE, added_ms=1),
    ]

    found = reader(IN_FILE).read(reply, 100)

    assert {name: declared.origin for name, declared in found.experiments.items()} == {
        "filed": "manifest",
        "early": "command",
    }
    assert set(found.broken) == {"late", "greedy"}
    assert "experiment 'early' has [0.5, 0.7]" in found.broken["late"]
    assert [one.name for one in found.running(100)["rank"]] == ["filed", "early"]


def test_what_is_stopped_is_over_and_makes_room() -> None:
    """In the project file, too."""
    reply = [
        *stored("filed", stopped_ms=50),
        *stored("next", {**TABLE, "slice": [0, 1], "start": "1970-01-01T00:00:00.06Z"}),
    ]

    before, after = (reader(IN_FILE).read(reply, now_ms) for now_ms in (40, 60))

    assert [one.name for one in before.running(40)["rank"]] == ["filed"]
    assert before.next_change_ms(40) == 50
    assert [one.name for one in after.running(60)["rank"]] == ["next"]
    assert after.next_change_ms(60) is None
    assert after.experiments["filed"].stopped_ms == 50


def test_what_cannot_be_read_harms_nobody_else() -> None:
    """Damaged, of a variant that is gone, or older than the project file."""
    gone = {**TABLE, "arms": {"a": {"variant": "slow"}, "b": {"variant": "fast"}}}
    reply = [b"damaged", b"{", *stored("unfit", gone), *stored("fine", TABLE), b"\xff", stored("x", TABLE)[1]]

    found = reader().read(reply, 1)

    assert set(found.experiments) == {"fine"}
    assert found.broken["unfit"] == "variant: no variant 'slow'; model 'rank' has: default, fast"
    assert {"damaged", "\ufffd"} < set(found.broken)


def test_only_what_has_changed_is_parsed_again() -> None:
    """The same object means the same experiment, which others may hold on to."""
    it, reply = reader(), stored("x", {**TABLE, "slice": [0, 0.5]})

    first = it.read(reply, 1).experiments["x"].experiment
    assert it.read(reply + stored("y", {**TABLE, "slice": [0.5, 1]}), 1).experiments["x"].experiment is first
    assert it.read(stored("x", TABLE), 1).experiments["x"].experiment.slice == (0.0, 1.0)
