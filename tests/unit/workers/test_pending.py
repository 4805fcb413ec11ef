"""Keys that wait to be refreshed."""

from __future__ import annotations

from workers.dependents import HotKey
from workers.pending import PendingRefreshes

A, B, C = (HotKey("late", name, rate) for name, rate in [("a", 1.0), ("b", 3.0), ("c", 2.0)])
OTHER = HotKey("other", "a", 0.5)


def test_a_burst_costs_one_refresh() -> None:
    """However often something behind a key changes within the window."""
    pending = PendingRefreshes(0.05)
    pending.add([A, B], 0.0)
    pending.add([A], 0.02)

    assert pending.due_in_s(0.03) == 0.05 - 0.03
    assert pending.due_in_s(0.06) == 0
    assert pending.take(10, 0.06) == {"late": ["a", "b"]}
    assert pending.merged == 1


def test_a_stream_of_changes_does_not_put_off_the_first() -> None:
    """The window begins with the first change, so waiting is bounded."""
    pending = PendingRefreshes(0.05)
    for i in range(10):
        pending.add([A], i * 0.01)

    assert pending.due_in_s(0.05) == 0


def test_under_pressure_the_hottest_go_first() -> None:
    """The rest waits for another window."""
    pending = PendingRefreshes(0.05)
    pending.add([A, B, C, OTHER], 0.0)

    assert pending.take(2, 0.05) == {"late": ["b", "c"]}
    assert pending.due_in_s(0.05) == 0.05
    assert pending.take(2, 0.1) == {"late": ["a"], "other": ["a"]}


def test_without_room_everything_waits() -> None:
    """Nothing is dropped, and nothing is asked for at once again."""
    pending = PendingRefreshes(0.05)
    pending.add([A], 0.0)

    assert pending.take(0, 0.05) == {}
    assert len(pending) == 1
    assert pending.due_in_s(0.05) == 0.05


def test_nothing_waiting_is_never_due() -> None:
    """Neither at first nor after everything was taken."""
    pending = PendingRefreshes(0.05)
    before = pending.due_in_s(0.0)
    pending.add([A], 0.0)
    pending.take(1, 0.05)

    assert before is None
    assert pending.due_in_s(1.0) is None
