"""How far a job has come."""

from __future__ import annotations

import pytest

from precompute.job_record import Job, Progress, chunk_size

JOB = Job("late-1", "late", "default", 1, "all keys", 100, 0)


def test_counters_become_progress() -> None:
    """Unknown counters of another release are passed over, absent ones are zero."""
    found = Progress.of(JOB, {"total": 250, "written": 90, "failed": 10, "listed": 1, "of_tomorrow": 5})

    assert (found.total, found.done, found.listed, found.chunks) == (250, 100, True, 0)


def test_a_job_goes_through_three_states() -> None:
    """Keys are computed while the list still grows."""
    states = [Progress(job=JOB), Progress(job=JOB, listed=True), Progress(job=JOB, listed=True, finished_ms=5)]

    assert [p.state for p in states] == ["listing", "running", "finished"]


def test_rate_and_time_left_follow_from_what_is_done() -> None:
    """Half done in ten seconds leaves ten seconds."""
    half = Progress(job=JOB, total=1000, written=400, failed=100, started_ms=5_000, active_ms=15_000)

    assert half.keys_per_s == 50.0
    assert half.eta_s == 10.0


def test_before_anything_is_done_there_is_no_time_left() -> None:
    """No rate, no promise."""
    assert Progress(job=JOB, total=1000).eta_s is None
    assert Progress(job=JOB, total=1000, started_ms=5, active_ms=5).eta_s is None


@pytest.mark.parametrize(("number", "size"), [(0, 100), (1, 100), (2, 45)])
def test_a_lost_chunk_has_a_known_size(number: int, size: int) -> None:
    """Lines that were no keys are in no chunk."""
    progress = Progress(job=JOB, total=250, refused=5, failed=7, chunks=3)

    assert chunk_size(progress, number) == size
