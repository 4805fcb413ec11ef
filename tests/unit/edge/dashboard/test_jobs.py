"""Declared jobs and their runs, as the dashboard has them."""

from __future__ import annotations

import msgspec

from edge.dashboard.jobs import declared, jobs, progress, runs
from precompute import manifest
from precompute.job_record import Job, Progress
from precompute.job_runs import Run
from precompute.updates import Reply
from tests.unit.edge.rig import MANIFEST

JOB = '\n[jobs.nightly]\nmodel = "score"\nhot = 10\ncron = "0 3 * * *"\n'
PROJECT = manifest.parse(MANIFEST.replace("POLICY", "") + JOB)
NOW_MS = 1_800_000_000_000
PAUSED = [b"nightly", b'{"paused":true,"at_ms":5}']


def job(*, schedule: str = "nightly", created_ms: int = 5_000) -> Job:
    """A job that is a run of the declared one, unless it says otherwise."""
    return Job("score-1", "score", "default", 1, "hot", 100, created_ms, schedule=schedule)


def states(past: list[Run], latest: list[Progress], pauses: Reply = ()) -> list[object]:
    """What the only declared job looks like."""
    found, _ = declared(PROJECT, [[], pauses, []])
    (state,) = jobs(found, [[msgspec.json.encode(run) for run in past]], latest, NOW_MS)
    return [state.next_ms, state.paused, state.last and (state.last.state, state.last.done)]


RUN = Run(schedule="nightly", id="r", fire_ms=1, variants=("default",), state="failed", started_ms=2_000, failed=3)


def test_the_last_run_is_the_latest_whoever_began_it() -> None:
    """The schedulers, or a person."""
    later, earlier = Progress(job=job(), written=7), Progress(job=job(created_ms=1_000), written=7)

    assert states([RUN], [])[2] == ("failed", 3)
    assert states([RUN], [later])[2] == ("listing", 7)
    assert states([RUN], [earlier])[2] == ("failed", 3)
    assert states([], [later])[2] == ("listing", 7)
    assert states([], [Progress(job=job(schedule=""), written=7)])[2] is None


def test_a_paused_job_has_no_next_run() -> None:
    """Others have one, in the future."""
    waiting, paused = states([], []), states([], [], PAUSED)

    assert isinstance(waiting[0], int)
    assert waiting[0] > NOW_MS
    assert paused[:2] == [None, True]


def test_what_runs_is_named_by_what_it_is_a_run_of() -> None:
    """Jobs without a declaration by their model; those that have ended run no more."""
    latest = [
        Progress(job=job(), total=10, written=4, failed=1),
        Progress(job=job(schedule="")),
        Progress(job=job(), finished_ms=9),
    ]

    found = runs(latest)

    assert [(run.id, run.name, run.done, run.total) for run in found] == [
        ("score-1", "nightly", 5, 10),
        ("score-1", "score", 0, 0),
    ]


def test_jobs_that_are_forgotten_are_left_out() -> None:
    """Their ids outlive them for a while."""
    raw = msgspec.json.encode(job())

    found = progress([None, [], raw, [b"total", b"3", b"listed", b"1"]])

    assert [(it.total, it.state) for it in found] == [(3, "running")]
