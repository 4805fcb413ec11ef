"""What can be wrong with a job."""

from __future__ import annotations

from precompute.errors import PermanentError


class JobMissing(PermanentError):
    """There is no such job, or it has been forgotten."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"no job {job_id!r}; finished jobs are kept for some days (nearcast jobs list)")


class JobEnded(PermanentError):
    """Whoever lists a job's keys learns that the job is over: cancelled, replaced, or taken over by a new leader."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id!r} was ended while its keys were being listed")


class JobRefused(PermanentError):
    """A job that makes no sense; says why."""
