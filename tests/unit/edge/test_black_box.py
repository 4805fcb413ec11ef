"""What the next process is told of the one before it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edge.black_box import BlackBox, labelled
from edge.breaker import LONGEST_S
from edge.runs import Runs
from edge.sleeper import Sleeper
from precompute.errors import ModelUnavailable
from precompute.registry import Version
from tests.unit.edge.rig import Rig

LATE = ("late", 7)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where one process after the other keeps its box."""
    return tmp_path / "0.runs"


def dies_with(path: Path, *names: tuple[str, int]) -> BlackBox:
    """A process that never comes to say that it has survived these."""
    box = BlackBox(path)
    # All at the same time: the number of a thread that has ended is given to the next one.
    together = threading.Barrier(len(names))

    def enter(name: tuple[str, int]) -> None:
        box.enter(labelled(name))
        together.wait(10.0)

    threads = [threading.Thread(target=enter, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return box


def test_what_two_processes_in_a_row_died_with_is_suspicious(path: Path) -> None:
    """Once may be anybody's doing."""
    dies_with(path, LATE)
    once = dies_with(path, LATE, ("early", 1))

    twice = BlackBox(path)

    assert (once.suspects, twice.suspects) == (frozenset(), {LATE})


def test_a_death_without_it_clears_it(path: Path) -> None:
    """In a row, or it is chance."""
    dies_with(path, LATE)
    dies_with(path, ("early", 1))
    dies_with(path, LATE)

    assert BlackBox(path).suspects == frozenset()


def test_what_was_survived_is_not_told(path: Path) -> None:
    """However often it ran."""
    for _ in range(3):
        box = BlackBox(path)
        for _ in range(100):
            box.enter(labelled(LATE))
            box.leave()

    assert BlackBox(path).suspects == frozenset()


def test_a_process_that_ends_in_peace_leaves_nothing(path: Path) -> None:
    """Not even files."""
    dies_with(path, LATE)
    BlackBox(path).close()

    assert list(path.parent.iterdir()) == []


def test_more_threads_than_there_is_room_for_do_no_harm(path: Path) -> None:
    """Some are not written down."""
    box = dies_with(path, *[("m", n) for n in range(100)])
    box.enter(labelled(LATE))
    box.leave()


@pytest.mark.parametrize("damaged", [b"", b"\xff" * 999, b"no numbers here"])
def test_damaged_files_are_as_good_as_none(path: Path, damaged: bytes) -> None:
    """Whatever was done to them."""
    path.write_bytes(damaged)
    path.with_suffix(".deaths").write_bytes(damaged)

    assert BlackBox(path).suspects == frozenset()


def test_a_suspect_is_not_run_for_a_while(path: Path) -> None:
    """Then it is tried again."""
    rig, now_s = Rig(), [0.0]
    dies_with(path, ("score", 1))
    dies_with(path, ("score", 1))
    record, model = Version(1, "default", "", 1000, 0), rig.servable.model

    sleeper = Sleeper(rig.project, record, model, None, Runs(BlackBox(path)), lambda: now_s[0])  # type: ignore[arg-type]
    sleeper.wake(rig.predictor, 0.1, 1000)

    with pytest.raises(ModelUnavailable, match="the last processes died"):
        sleeper.plan([rig.servable.model.parse_key("a:p")])
    now_s[0] = LONGEST_S
    assert sleeper.plan([rig.servable.model.parse_key("a:p")]).keys
