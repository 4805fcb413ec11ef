"""What a worker counts, over its processes."""

from __future__ import annotations

import os
from collections.abc import Callable

from workers.work_counts import REFRESHED_BUCKETS_S, WorkCounts


def in_a_child(act: Callable[[], None]) -> None:
    """Does it in a process of its own, which then ends without a word, as if it were killed."""
    child = os.fork()
    if child == 0:
        act()
        os._exit(0)
    os.waitpid(child, 0)


def test_what_children_count_is_seen_by_the_process_that_shows_it() -> None:
    """Each has a row of its own; whoever asks adds them up, and a child's successor goes on in its row."""
    counts = WorkCounts(["late"], processes=2)

    def work(row: int, keys: int, at_ms: int) -> Callable[[], None]:
        def act() -> None:
            counts.take_row(row)
            counts.rows("late", keys, 1)
            counts.task("refresh", "done", 0.02, at_ms)

        return act

    in_a_child(work(0, 10, 7_000))
    in_a_child(work(1, 20, 9_000))
    in_a_child(work(0, 30, 8_000))

    assert counts.total("rows", "late", "computed") == 60
    assert counts.total("rows", "late", "failed") == 3
    assert counts.total("tasks", "refresh", "done") == sum(counts.counts("task_s", "refresh")) == 3
    assert counts.progress_ms == 9_000


def test_a_task_left_undone_is_no_progress() -> None:
    """A worker whose Redis is away takes tasks and gets nowhere."""
    counts = WorkCounts(["late"])

    counts.task("precompute", "undone", 0.5, 5_000)

    assert counts.progress_ms == 0
    assert counts.total("tasks", "precompute", "undone") == 1


def test_a_duration_falls_under_the_first_bound_that_holds_it() -> None:
    """Bounds belong to their bucket; what is beyond all of them is in the last."""
    counts = WorkCounts(["late"])

    for after_s in (REFRESHED_BUCKETS_S[0], REFRESHED_BUCKETS_S[-1], 1e6):
        counts.refreshed("late", after_s)

    found = counts.counts("refreshed_s", "late")
    assert (found[0], found[-2], found[-1], sum(found)) == (1, 1, 1, 3)
    assert counts.sum_s("refreshed_s", "late") == sum((REFRESHED_BUCKETS_S[0], REFRESHED_BUCKETS_S[-1], 1e6))


def test_a_model_that_nobody_declared_is_not_counted() -> None:
    """Such a task is an old one, and fails; no label is made up for it."""
    counts = WorkCounts(["late"])

    counts.rows("gone", 1, 1)

    assert counts.total("rows", "gone", "failed") == 0
