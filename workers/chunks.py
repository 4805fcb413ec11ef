"""Computes one chunk of a job, as often as it is asked to, and counts it once."""

from __future__ import annotations

import time
from collections.abc import Callable

from precompute.errors import NearcastError, PermanentError, TransientError
from precompute.job_record import Failure, chunk_size
from precompute.predictor import Predictor
from precompute.store import CommandFailed
from precompute.sweep import SweepResult, parse_keys, sweep
from workers import tallies
from workers.job_store import Chunk, JobStore
from workers.retrying import retrying
from workers.workplace import Workplace

#: A chunk begun so often without coming to an end kills its worker, or meets a store that is never well.
MAX_ATTEMPTS = 10
#: How often a job learns that somebody is at work on it, at most.
ACTIVITY_MS = 1000


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class ShowingClock:
    """The clock that a sweep asks for each batch; so a job learns that its chunk is not lost but slow."""

    def __init__(self, show: Callable[[int], None], clock: Callable[[], int] = now_ms) -> None:
        self._show = show
        self._clock = clock
        self._shown_ms = clock()

    def __call__(self) -> int:
        """Now, in ms since 1970."""
        now = self._clock()
        if now - self._shown_ms >= ACTIVITY_MS:
            self._shown_ms = now
            self._show(now)
        return now


def compute_chunk(place: Workplace, jobs: JobStore, job_id: str, number: int) -> bool:
    """Does what a task says, unless it has been done; whether it had not.

    Raises:
        TransientError: Redis stayed away; the chunk is still to be done.
    """
    (chunk, repeats) = retrying(lambda: jobs.begin(job_id, number, now_ms()))
    if chunk is None:
        return False
    try:
        result, more = retrying(lambda: _computed(place, jobs, chunk))
    except TransientError:
        tallies.add(place.store, transient=1)
        raise
    failures = [Failure(key, reason) for key, reason in result.failures]
    counted, last = retrying(lambda: jobs.finish(chunk, result.written, result.failed, failures, now_ms()))
    written, failed, retried = result.written, result.failed, repeats + more + last
    place.counts.retried(retried)
    if counted:
        place.counts.rows(chunk.job.model, written, failed)
        tallies.add(place.store, precomputed=written, failed=failed, retried=retried)
    else:
        tallies.add(place.store, repeated=1, retried=retried)
    return bool(counted)


def _computed(place: Workplace, jobs: JobStore, chunk: Chunk) -> SweepResult:
    job = chunk.job
    if chunk.keys is None:
        size = chunk_size(jobs.progress(job.id), chunk.number)
        return _failed([f"chunk {chunk.number}"], size, "its list of keys is gone from Redis")
    if chunk.attempts > MAX_ATTEMPTS:
        return _failed(chunk.keys, len(chunk.keys), f"given up: begun {MAX_ATTEMPTS} times and never finished")
    try:
        predictor = place.predictor(job.model, job.version)
    except (PermanentError, CommandFailed) as error:
        return _failed(chunk.keys, len(chunk.keys), _line(error))
    clock = ShowingClock(lambda ms: jobs.show_activity(job.id, ms))
    return compute(place, predictor, chunk.keys, clock)


def compute(place: Workplace, predictor: Predictor, texts: list[str], clock: Callable[[], int]) -> SweepResult:
    """Predictions of these keys, stored; raises StoreUnavailable as `sweep` does."""
    refused = SweepResult()
    keys = parse_keys(predictor, texts, refused)
    result = sweep(place.store, predictor, keys, clock)
    result.failed += refused.failed
    result.failures += refused.failures
    return result


def _failed(keys: list[str], count: int, reason: str) -> SweepResult:
    result = SweepResult()
    for key in keys:
        result.fail(key, reason)
    result.failed = count
    return result


def _line(error: NearcastError) -> str:
    return " ".join(str(error).split())
