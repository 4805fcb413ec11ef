"""How jobs, declared jobs and their runs are shown."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from deploy.cli.show import facts, show, table, tell
from precompute.updates import timestamp

if TYPE_CHECKING:
    from rich.console import RenderableType

    from deploy.cli.job_desk import Desk
    from precompute.declared_jobs import Declared
    from precompute.job_record import Failure, Progress
    from precompute.job_runs import Run
    from precompute.schedules import Schedule

Document = dict[str, object]

#: Failures that are shown unasked.
_SHOWN_FAILURES = 10

_JOB_COLUMNS = ("job", "state", "keys", "total", "written", "failed", "keys_per_s", "created_at")
_DECLARED_COLUMNS = ("name", "declared_in", "model", "keys", "when", "next_at", "state", "last_run")
_RUN_COLUMNS = (
    "run",
    "state",
    "due_at",
    "started_at",
    "ended_at",
    "total",
    "written",
    "failed",
    "keys_per_s",
    "reason",
)


def job_document(progress: Progress) -> Document:
    """One job as plain data."""
    job = progress.job
    return {
        "job": job.id,
        "state": progress.state,
        "model": job.model,
        "version": job.version,
        "variant": job.variant,
        "declared_job": job.schedule or None,
        "keys": job.source,
        "priority": job.priority,
        "created_at": timestamp(job.created_ms),
        "finished_at": _time(progress.finished_ms),
        "total": progress.total,
        "written": progress.written,
        "failed": progress.failed,
        "keys_per_s": round(progress.keys_per_s),
        "eta_s": None if progress.eta_s is None or progress.finished_ms else round(progress.eta_s, 1),
    }


def show_job(progress: Progress, found: list[Failure], *, as_json: bool) -> None:
    """One job, and the first of its failures."""
    document = job_document(progress)
    show(document, lambda: facts(document.items()), as_json=as_json)
    if found and not as_json:
        show(None, lambda: failure_table(found[:_SHOWN_FAILURES]), as_json=False)
        if progress.failed > _SHOWN_FAILURES:
            tell(f"{progress.failed:,} keys failed; nearcast jobs failures {progress.job.id} lists them")


def job_table(documents: Sequence[Document]) -> RenderableType:
    """Jobs, one a line."""
    return _table(_JOB_COLUMNS, documents, "Jobs")


def failure_table(found: list[Failure]) -> RenderableType:
    """Keys without predictions."""
    return table(("key", "reason"), [(failure.key, failure.reason) for failure in found])


def declared_documents(desk: Desk) -> list[Document]:
    """All declared jobs, those that no longer fit the project included."""
    found = desk.declared.all()
    broken: list[Document] = [
        {"name": name, "declared_in": "command", "state": "broken", "reason": r} for name, r in found.broken.items()
    ]
    return [declared_document(desk, declared) for declared in found.jobs.values()] + broken


def declared_document(desk: Desk, declared: Declared) -> Document:
    """One declared job: what, when, and how it goes."""
    from precompute.fires import next_start

    schedule = declared.schedule
    (known,) = desk.ledgers.read([schedule.name])
    running = known.ledger.open if known.ledger else ()
    last = desk.ledgers.past(schedule.name, 1)
    next_ms = None if declared.paused else next_start(schedule, time.time_ns() // 1_000_000)
    state = "paused" if declared.paused else "running" if running else "waiting"
    return {
        "name": schedule.name,
        "declared_in": declared.origin,
        "state": state,
        "model": schedule.model,
        "variants": list(schedule.variants),
        "keys": _keys(schedule),
        "when": str(schedule.when),
        "next_at": _time(next_ms or 0),
        "window": None if schedule.window is None else str(schedule.window),
        "timezone": schedule.timezone.key,
        "jitter_s": schedule.jitter_ms / 1000,
        "priority": schedule.priority,
        "time_limit_s": None if schedule.time_limit_ms is None else schedule.time_limit_ms / 1000,
        "overlap": schedule.overlap,
        "missed": schedule.missed,
        "open_runs": [run_document(desk, run) for run in running],
        "last_run": last[0].state if last else None,
        "reason": (last[0].reason or None) if last else None,
    }


def declared_table(documents: Sequence[Document]) -> RenderableType:
    """Declared jobs, one a line."""
    return _table(_DECLARED_COLUMNS, documents, "Declared jobs")


def run_document(desk: Desk, run: Run) -> Document:
    """One run of a declared job by a scheduler."""
    total, written, failed, rate = run.total, run.written, run.failed, run.keys_per_s
    if not run.ended_ms:
        at_work = [progress for progress in desk.jobs.many(run.jobs) if progress is not None]
        total, written, failed = (sum(getattr(p, name) for p in at_work) for name in ("total", "written", "failed"))
        rate = sum(progress.keys_per_s for progress in at_work)
    return {
        "declared_job": run.schedule,
        "run": run.id,
        "by": "scheduler",
        "state": run.state,
        "due_at": timestamp(run.fire_ms),
        "started_at": _time(run.started_ms),
        "ended_at": _time(run.ended_ms),
        "total": total,
        "written": written,
        "failed": failed,
        "keys_per_s": round(rate),
        "reason": run.reason or None,
        "runs": run.fires,
        "jobs": list(run.jobs) if run.attempt else [],
    }


def hand_document(progress: Progress) -> Document:
    """One job that a person started, as a run."""
    job = progress.job
    return {
        "declared_job": job.schedule or None,
        "run": job.id,
        "by": "hand",
        "state": progress.state,
        "due_at": timestamp(job.created_ms),
        "started_at": timestamp(job.created_ms),
        "ended_at": _time(progress.finished_ms),
        "total": progress.total,
        "written": progress.written,
        "failed": progress.failed,
        "keys_per_s": round(progress.keys_per_s),
        "reason": None,
        "runs": 1,
        "jobs": [job.id],
    }


def run_table(documents: Sequence[Document]) -> RenderableType:
    """Runs, one a line."""
    return _table(_RUN_COLUMNS, documents, None)


def _table(columns: Sequence[str], documents: Sequence[Document], title: str | None) -> RenderableType:
    return table(columns, [[document.get(name) for name in columns] for document in documents], title=title)


def _keys(schedule: Schedule) -> str:
    match schedule.keys:
        case {"hot": count}:
            return f"hot {count:,}"
        case {"keys": path}:
            return f"file {path}"
        case {"dependents": {"view": view, "entity": entity}}:
            return f"hot keys of {view} {entity}"
        case _:
            return "all keys"


def _time(ms: int) -> str | None:
    return timestamp(ms) if ms else None
