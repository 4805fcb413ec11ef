"""Declared jobs for tests."""

from __future__ import annotations

from dataclasses import replace

from precompute.cron import Cron
from precompute.job_record import Job, Progress
from precompute.job_runs import Run
from precompute.schedules import ByCron, Every, Schedule, When


def schedule(when: When | str | int = 1000, **more: object) -> Schedule:
    """A declared job: by a cron expression, or every so many milliseconds."""
    chosen = ByCron(Cron.parse(when)) if isinstance(when, str) else Every(when) if isinstance(when, int) else when
    return replace(Schedule(name="job", model="m", variants=("v",), keys={"all": True}, when=chosen), **more)


def progress(run: Run, variant: str = "v", **more: object) -> Progress:
    """How far a job of a run has come."""
    job = Job(run.job_id(variant), "m", variant, 1, "all keys", 10, run.started_ms, {}, "normal", "job", run.fence)
    return Progress(job=job, **more)  # type: ignore[arg-type]
