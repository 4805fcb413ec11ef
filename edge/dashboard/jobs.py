"""Declared jobs, when they run next and how they went, and whatever runs at the moment."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge.dashboard.document import JobState, OpenRun, RunState
from precompute import declared_jobs
from precompute.declared_jobs import Declarations, Declared
from precompute.fires import next_start
from precompute.job_record import Job, Progress
from precompute.job_runs import Run
from precompute.keys import JOBS, job_key, schedule_key
from precompute.manifest import Project
from precompute.store import checked
from precompute.updates import Command, Reply

#: Jobs that are looked at, newest first; those under way are among them, unless there are far too many.
_LATEST = 50

COMMANDS: list[Command] = [*declared_jobs.COMMANDS, ("ZREVRANGE", JOBS, 0, _LATEST - 1)]


def declared(project: Project, replies: Sequence[Reply]) -> tuple[Declarations, list[str]]:
    """What is declared, and the ids of the latest jobs, from the replies to `COMMANDS`."""
    added, pauses, ids = replies
    return declared_jobs.declarations(project, added, pauses), [name.decode() for name in checked(ids)]


def past_commands(found: Declarations) -> list[Command]:
    """Asks for the latest ended run of each declared job."""
    return [("LRANGE", schedule_key(name, "past"), 0, 0) for name in found.jobs]


def progress_commands(ids: Sequence[str]) -> list[Command]:
    """Asks how far jobs have come; two commands for each."""
    return [
        command
        for name in ids
        for command in (("GET", job_key(name, "record")), ("HGETALL", job_key(name, "progress")))
    ]


def progress(replies: Sequence[Reply]) -> list[Progress]:
    """How far jobs have come, newest first, from the replies to `progress_commands`; without those that are gone."""
    found = []
    for record, counters in zip(replies[::2], replies[1::2], strict=True):
        raw, flat = checked(record), checked(counters)
        if raw is not None:
            counts = {name.decode(): int(count) for name, count in zip(flat[::2], flat[1::2], strict=True)}
            found.append(Progress.of(msgspec.json.decode(raw, type=Job), counts))
    return found


def jobs(found: Declarations, past: Sequence[Reply], latest: Sequence[Progress], now_ms: int) -> list[JobState]:
    """All declared jobs; a job that was run by hand counts like a run by the schedulers."""
    by_hand = {it.job.schedule: it for it in reversed(latest) if it.job.schedule}
    return [
        _state(known, _last_run(checked(reply), by_hand.get(name)), now_ms)
        for (name, known), reply in zip(found.jobs.items(), past, strict=True)
    ]


def _state(known: Declared, last: RunState | None, now_ms: int) -> JobState:
    next_ms = None if known.paused else next_start(known.schedule, now_ms)
    return JobState(name=known.schedule.name, next_ms=next_ms, paused=known.paused, last=last)


def _last_run(texts: Sequence[bytes], by_hand: Progress | None) -> RunState | None:
    run = msgspec.json.decode(texts[0], type=Run) if texts else None
    if by_hand is not None and (run is None or by_hand.job.created_ms > (run.started_ms or run.ended_ms)):
        return _at_work(by_hand)
    return None if run is None else _ended(run)


def _ended(run: Run) -> RunState:
    return RunState(
        state=run.state,
        started_ms=run.started_ms or None,
        ended_ms=run.ended_ms or None,
        done=run.written + run.failed,
        total=run.total,
        rows_per_s=run.keys_per_s,
        failed=run.failed,
    )


def runs(latest: Sequence[Progress]) -> list[OpenRun]:
    """Jobs at work; whoever started them."""
    return [
        OpenRun(id=it.job.id, name=it.job.schedule or it.job.model, **msgspec.structs.asdict(_at_work(it)))
        for it in latest
        if not it.finished_ms
    ]


def _at_work(it: Progress) -> RunState:
    return RunState(
        state=it.state,
        started_ms=it.started_ms or it.job.created_ms,
        ended_ms=it.finished_ms or None,
        done=it.done,
        total=it.total,
        rows_per_s=it.keys_per_s,
        failed=it.failed,
    )
