"""Celery's view of the work: thin tasks around plain functions."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Self

from celery import Celery, Task

from precompute.errors import TransientError
from precompute.tracing import CONTEXT, OFF, Span, Tracing
from workers.chunks import compute_chunk, now_ms
from workers.fencing import FenceGuard
from workers.job_store import JobStore
from workers.loud_request import LoudRequest
from workers.messages import PRECOMPUTE_TASK, REFRESH_TASK
from workers.refreshing import refresh_keys
from workers.retrying import retrying
from workers.work_counts import WorkCounts
from workers.workplace import Workplace

log = logging.getLogger(__name__)


def register(app: Celery, workplace: Callable[[], Workplace], job_keep_s: float, tracing: Tracing = OFF) -> None:
    """Makes the tasks known to a worker; `workplace` gives the process that runs one what it needs."""
    guard = FenceGuard()

    def traced(task: Task, **attributes: str | int) -> AbstractContextManager[Span]:
        sent_with = {name: text for name in CONTEXT if (text := task.request.get(name))}
        return tracing.span(f"take {task.name}", "consumer", sent_with, **attributes)

    def precompute_chunk(task: Task, job_id: str, number: int, fence: int | None = None) -> None:
        place = workplace()
        with (
            traced(task, nearcast_job=job_id, nearcast_chunk=number),
            _Taken(place.counts, "precompute", f"chunk {number} of job {job_id}") as taken,
        ):
            admitted, _ = retrying(lambda: guard.admits(place.store, fence))
            if not admitted or not compute_chunk(place, JobStore(place.store, job_keep_s), job_id, number):
                taken.outcome = "repeated"

    def refresh(task: Task, model: str, keys: list[str], changed_ms: Sequence[int] = ()) -> None:
        place = workplace()
        with (
            traced(task, nearcast_model=model, nearcast_keys=len(keys)),
            _Taken(place.counts, "refresh", f"{len(keys)} keys of {model}"),
        ):
            refresh_keys(place, model, keys, changed_ms)

    app.task(name=PRECOMPUTE_TASK, bind=True, Request=LoudRequest)(precompute_chunk)
    app.task(name=REFRESH_TASK, bind=True, Request=LoudRequest)(refresh)


class _Taken:
    """One task: counted, and given up with one line if its store stayed away; what it was about is known to be undone.

    Attributes:
        outcome: what became of it; may be told before its end.
    """

    def __init__(self, counts: WorkCounts, task: str, what: str) -> None:
        self.outcome = "done"
        self._counts = counts
        self._task = task
        self._what = what
        self._began_s = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        outcome = self.outcome if error is None else "undone"
        self._counts.task(self._task, outcome, time.perf_counter() - self._began_s, now_ms())
        if isinstance(error, TransientError):
            log.error("left %s undone: %s", self._what, error)
            return True
        return False
