"""Noticing that a job stands still."""

from __future__ import annotations

from precompute.job_record import Job, Progress
from workers.stalls import StallWatch

JOB = Job("late-1", "late", "default", 1, "all keys", 100, 0)


def progress(done: int, *, active_ms: int = 0, finished_ms: int = 0) -> Progress:
    """A job of ten chunks."""
    return Progress(job=JOB, chunks=10, chunks_done=done, active_ms=active_ms, finished_ms=finished_ms)


def test_a_job_without_any_change_stands_still() -> None:
    """Once per stall time."""
    watch = StallWatch(5.0)

    verdicts = [watch.stalled(progress(3), 0, now) for now in (0.0, 4.0, 5.0, 6.0, 10.0)]

    assert verdicts == [False, False, True, False, True]


def test_progress_of_any_kind_is_progress() -> None:
    """A chunk done, or a worker that shows activity within one."""
    watch = StallWatch(5.0)
    watch.stalled(progress(3), 0, 0.0)

    assert not watch.stalled(progress(4), 0, 5.0)
    assert not watch.stalled(progress(4, active_ms=1), 0, 10.0)
    assert watch.stalled(progress(4, active_ms=1), 0, 15.0)


def test_tasks_that_wait_are_not_queued_again() -> None:
    """No worker runs, or it is busy with other jobs: more messages would not help."""
    watch = StallWatch(5.0)

    assert not any(watch.stalled(progress(3), 1, float(now)) for now in range(0, 100, 5))


def test_a_finished_job_is_left_alone() -> None:
    """So is one whose chunks are all done while keys are still being listed."""
    watch = StallWatch(5.0)

    assert not any(watch.stalled(progress(10, finished_ms=1), 0, float(now)) for now in (0, 50))
    assert not any(watch.stalled(progress(10), 0, float(now)) for now in (0, 50))
