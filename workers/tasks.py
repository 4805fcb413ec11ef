"""Celery's view of the work: thin tasks around plain functions."""

from __future__ import annotations

import logging
from collections.abc import Callable

from celery import Celery

from precompute.errors import TransientError
from workers.chunks import compute_chunk
from workers.fencing import FenceGuard
from workers.job_store import JobStore
from workers.messages import PRECOMPUTE_TASK, REFRESH_TASK
from workers.refreshing import refresh_keys
from workers.retrying import retrying
from workers.workplace import Workplace

log = logging.getLogger(__name__)


def register(app: Celery, workplace: Callable[[], Workplace], job_keep_s: float) -> None:
    """Makes the tasks known to a worker; `workplace` gives the process that runs one what it needs."""
    guard = FenceGuard()

    def precompute_chunk(job_id: str, number: int, fence: int | None = None) -> None:
        place = workplace()
        with _forgiving(f"chunk {number} of job {job_id}"):
            admitted, _ = retrying(lambda: guard.admits(place.store, fence))
            if admitted:
                compute_chunk(place, JobStore(place.store, job_keep_s), job_id, number)

    def refresh(model: str, keys: list[str]) -> None:
        with _forgiving(f"{len(keys)} keys of {model}"):
            refresh_keys(workplace(), model, keys)

    app.task(name=PRECOMPUTE_TASK)(precompute_chunk)
    app.task(name=REFRESH_TASK)(refresh)


class _forgiving:  # noqa: N801 - reads as a statement
    """Gives up a task whose store stayed away with one line; what it was about is still known to be undone."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, TransientError):
            log.error("left %s undone: %s", self._what, error)
            return True
        return False
