"""One look at a declared job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from precompute.job_runs import Ledger, Run
from precompute.schedules import OnPublish, Schedule
from tests.unit.workers.schedules import progress, schedule
from workers.schedule_events import Event
from workers.schedule_turn import MAX_ATTEMPTS, MAX_QUEUED, Sight, Turn, current, take_turn


def sight(now_ms: int, **more: object) -> Sight:
    """What a leader of term 1 sees; it forgives a second."""
    return replace(Sight(now_ms=now_ms, fence=1, grace_ms=1000), **more)


def states(turn: Turn) -> list[tuple[str, str]]:
    """Open and ended runs: when they were due, in seconds, and what has become of them."""
    runs = [*turn.ended, *turn.ledger.open]
    return sorted((str(run.fire_ms // 1000), run.state) for run in runs)


def started(job: Schedule, fire_ms: int = 1000) -> tuple[Ledger, Run]:
    """A ledger with one run at work, begun by a leader of term 1."""
    turn = take_turn(job, Ledger("time", fire_ms - 1), sight(fire_ms))
    (run,) = turn.start
    return turn.ledger, run


def test_a_run_that_is_due_begins() -> None:
    """Its keys are to be listed, and the fire is dealt with."""
    turn = take_turn(schedule(1000), Ledger("time", 500), sight(1200))

    (run,) = turn.start
    assert (run.id, run.state, run.fence, run.attempt, run.started_ms) == ("job.1000", "running", 1, 1, 1200)
    assert run.jobs == ("job.1000.1.v",)
    assert turn.ledger == Ledger("time", 1000, 1200, (run,))


def test_nothing_changes_while_nothing_is_due() -> None:
    """There is nothing to commit."""
    ledger = Ledger("time", 1000)

    turn = take_turn(schedule(1000), ledger, sight(1999))

    assert turn == Turn(ledger)


def test_a_run_whose_jobs_are_done_is_finished() -> None:
    """With their figures added up, and the end of the last of them."""
    ledger, run = started(schedule(5000, variants=("v", "w")), 5000)
    seen = {
        run.job_id("v"): progress(run, "v", total=10, written=9, failed=1, listed=True, finished_ms=6000),
        run.job_id("w"): progress(run, "w", total=10, written=10, listed=True, finished_ms=7000),
    }

    turn = take_turn(schedule(5000, variants=("v", "w")), ledger, sight(8000, progress=seen))

    (ended,) = turn.ended
    assert (ended.state, ended.total, ended.written, ended.failed, ended.ended_ms) == ("finished", 20, 19, 1, 7000)
    assert ended.keys_per_s == 10.0
    assert turn.ledger.open == ()
    assert turn.cancel == []


def test_a_run_without_one_prediction_has_failed() -> None:
    """And so has one whose job somebody has cancelled."""
    ledger, run = started(schedule(5000), 5000)
    none = progress(run, total=10, failed=10, listed=True, finished_ms=6000)
    cancelled = progress(run, total=10, written=5, listed=True, finished_ms=6000, cancelled=True)

    turns = [take_turn(schedule(5000), ledger, sight(7000, progress={run.jobs[0]: p})) for p in (none, cancelled)]

    assert [(turn.ended[0].state, turn.ended[0].reason) for turn in turns] == [
        ("failed", "not one key could be computed"),
        ("failed", "its job was cancelled"),
    ]


def test_a_run_that_takes_too_long_is_ended() -> None:
    """Its job is cancelled, and what it has done is kept in mind."""
    job = schedule(60_000, time_limit_ms=5000)
    ledger, run = started(job, 60_000)
    seen = {run.jobs[0]: progress(run, total=10, written=4, listed=True)}

    before = take_turn(job, ledger, sight(65_000, progress=seen))
    after = take_turn(job, ledger, sight(65_001, progress=seen))

    assert before.ended == []
    assert [(r.state, r.written, r.reason) for r in after.ended] == [("timed out", 4, "took longer than 5 s")]
    assert after.cancel == list(run.jobs)


def test_a_run_that_cannot_be_done_is_refused() -> None:
    """With the reason, and without a second try."""
    ledger, run = started(schedule(5000), 5000)

    turn = take_turn(schedule(5000), ledger, sight(6000, refusals={run.attempt_id: "no keys"}))

    assert [(r.state, r.reason) for r in turn.ended] == [("refused", "no keys")]
    assert turn.start == []


@pytest.mark.parametrize(
    ("overlap", "wanted"),
    [
        ("skip", [("1", "running"), ("2", "skipped")]),
        ("queue", [("1", "running"), ("2", "queued")]),
        ("replace", [("1", "replaced"), ("2", "running")]),
    ],
)
def test_what_happens_when_runs_overlap(overlap: str, wanted: list[tuple[str, str]]) -> None:
    """As the job says."""
    job = schedule(1000, overlap=overlap)
    ledger, run = started(job)

    turn = take_turn(job, ledger, sight(2000, listing={run.attempt_id}))

    assert states(turn) == wanted
    assert turn.cancel == (list(run.jobs) if overlap == "replace" else [])


def test_queued_runs_begin_one_after_the_other() -> None:
    """Oldest first, each when the one before is over."""
    job = schedule(1000, overlap="queue")
    ledger, run = started(job)
    ledger = take_turn(job, ledger, sight(3000, listing={run.attempt_id})).ledger
    over = {run.jobs[0]: progress(run, total=1, written=1, listed=True, finished_ms=3500)}

    turn = take_turn(job, ledger, sight(3600, progress=over))

    assert states(turn) == [("1", "finished"), ("2", "running"), ("3", "queued")]
    assert [r.id for r in turn.start] == ["job.2000"]


def test_only_so_many_runs_wait() -> None:
    """A job that is slower than its schedule must not collect work for ever."""
    job = schedule(1000, overlap="queue")
    ledger, run = started(job)

    turn = take_turn(job, ledger, sight(30_000, listing={run.attempt_id}, grace_ms=60_000))

    assert [state for _, state in states(turn)].count("queued") == MAX_QUEUED
    assert [state for _, state in states(turn)].count("skipped") == 29 - MAX_QUEUED


def test_missed_runs_are_one_record() -> None:
    """With their number, and the last of their times."""
    turn = take_turn(schedule(1000, missed="skip"), Ledger("time", 0), sight(10_500))

    first, *_ = turn.ended
    assert (first.state, first.fires, first.fire_ms) == ("missed", 9, 9000)
    assert states(turn)[0] == ("10", "running")


def test_a_paused_job_starts_nothing() -> None:
    """What is at work goes on to its end, and what waits goes on waiting."""
    job = schedule(1000, overlap="queue")
    ledger, run = started(job)
    ledger = take_turn(job, ledger, sight(2000, listing={run.attempt_id})).ledger
    over = {run.jobs[0]: progress(run, total=1, written=1, listed=True, finished_ms=3500)}

    turn = take_turn(job, ledger, sight(9000, progress=over, paused=True))

    assert states(turn) == [("1", "finished"), ("2", "queued")]
    assert turn.ledger.cursor == ledger.cursor


def test_a_new_leader_takes_over_what_is_listed() -> None:
    """The tasks of the leader before are refused, so they are queued again under the new number."""
    ledger, run = started(schedule(5000), 5000)
    seen = {run.jobs[0]: progress(run, total=10, written=4, listed=True)}

    turn = take_turn(schedule(5000), ledger, sight(6000, fence=2, progress=seen))

    assert [(r.id, r.fence, r.attempt) for r in turn.requeue] == [("job.5000", 2, 1)]
    assert turn.ledger.open == tuple(turn.requeue)
    assert (turn.start, turn.cancel) == ([], [])


def test_a_new_leader_lists_anew_what_was_not_listed_to_the_end() -> None:
    """As another job, so that whoever was listing the first cannot add to the second."""
    ledger, run = started(schedule(5000), 5000)
    seen = {run.jobs[0]: progress(run, total=10, written=4)}

    turn = take_turn(schedule(5000), ledger, sight(6000, fence=2, progress=seen))

    assert [(r.id, r.fence, r.attempt, r.started_ms) for r in turn.start] == [("job.5000", 2, 2, 5000)]
    assert turn.cancel == list(run.jobs)
    assert turn.start[0].jobs != run.jobs


def test_a_listing_that_was_put_off_is_begun_again_after_a_pause() -> None:
    """Some server was away; in the end the run has failed."""
    job = schedule(10**9)
    ledger, _ = started(job, 10**9)
    now, attempts = 10**9, 1
    while ledger.open:
        now += 1000
        turn = take_turn(job, ledger, sight(now))
        attempts += len(turn.start)
        ledger = turn.ledger

    (ended,) = turn.ended
    assert (ended.state, attempts) == ("failed", MAX_ATTEMPTS)
    assert 240_000 < now - 10**9 < 420_000


def test_a_publish_is_computed_for_its_version() -> None:
    """And only its variant."""
    job = schedule(OnPublish(), variants=("v", "w"))

    turn = take_turn(job, Ledger("publish", 0), sight(1100, events=[Event(1000 << 20, 7, "w")]))

    assert [(run.version, run.variants) for run in turn.start] == [(7, ("w",))]


def test_records_that_do_not_concern_a_job_are_not_read_again() -> None:
    """The cursor moves over them."""
    turn = take_turn(schedule(OnPublish()), Ledger("publish", 5), sight(1100, read_to=99))

    assert turn.ledger == Ledger("publish", 99)


def test_a_job_begins_when_it_is_declared() -> None:
    """What it would have done before is nobody's loss; so it is with the time it was paused."""
    job = schedule(1000)

    assert current(job, None, 0, 5500) == Ledger("time", 5500)
    assert current(job, None, 4000, 5500) == Ledger("time", 4000)
    assert current(job, Ledger("time", 3000), 4000, 5500).cursor == 4000
    assert current(job, Ledger("time", 3000), 0, 5500).cursor == 3000


def test_a_job_that_runs_on_something_else_by_now_begins_anew() -> None:
    """Its cursor would be read as nonsense; its open runs are kept."""
    ledger, run = started(schedule(5000), 5000)

    found = current(schedule(OnPublish()), ledger, 0, 7000)

    assert found == Ledger("publish", 7000 << 20, 5000, (run,))


class World:
    """Leaders that come and go, and workers that finish what was listed; with a clock of its own."""

    def __init__(self, job: Schedule) -> None:
        self.job = job
        self.now = 100_000
        self.fence = 0
        self.ledger: Ledger = Ledger("time", self.now)
        self.ended: list[Run] = []
        self.listing: dict[str, Run] = {}
        self.jobs: dict[str, object] = {}

    def new_leader(self) -> None:
        self.fence += 1
        self.listing = {}

    def look(self, *, survives: bool) -> None:
        """A look; a leader that does not survive it has committed and done nothing about it."""
        seen = sight(self.now, fence=self.fence, progress=dict(self.jobs), listing=set(self.listing), grace_ms=3000)
        turn = take_turn(self.job, self.ledger, seen)
        self.ledger = turn.ledger
        self.ended += turn.ended
        if survives:
            for job in turn.cancel:
                self.jobs.pop(job, None)
            self.listing |= {run.attempt_id: run for run in turn.start}

    def work(self) -> None:
        """All listings come to their end, and so do the jobs."""
        for run in self.listing.values():
            for job in run.jobs:
                self.jobs[job] = progress(run, total=1, written=1, listed=True, finished_ms=self.now)
        self.listing = {}


@given(
    st.lists(st.tuples(st.sampled_from(["look", "die", "lead", "work", "away"]), st.integers(1, 2500)), max_size=60),
    st.sampled_from(["skip", "queue", "replace"]),
    st.sampled_from(["skip", "run-once"]),
    st.integers(0, 900),
)
def test_every_fire_is_accounted_for_once(
    steps: list[tuple[str, int]], overlap: str, missed: str, jitter_ms: int
) -> None:
    """Whoever leads, dies or stays away: each is run, waits, gave way or was missed; never two of these, never none."""
    world = World(schedule(1000, overlap=overlap, missed=missed, jitter_ms=jitter_ms))
    world.new_leader()

    for step, wait_ms in steps:
        world.now += wait_ms if step != "away" else 10 * wait_ms
        if step == "work":
            world.work()
        elif step == "lead":
            world.new_leader()
        elif step != "away":
            world.look(survives=step == "look")
            if step == "die":
                world.new_leader()

    fires = sorted(_fires([*world.ended, *world.ledger.open]))
    assert fires == list(range(101_000, world.ledger.cursor + 1, 1000))
    assert len([run for run in world.ledger.open if run.state == "running"]) <= 1


@given(st.lists(st.integers(1, 900), min_size=1, max_size=MAX_ATTEMPTS - 2))
def test_nothing_is_lost_while_leaders_change_within_the_grace(waits: list[int]) -> None:
    """Each fire begins exactly once and comes to its end, though one leader after the other dies after its look."""
    world = World(schedule(1000, overlap="queue"))
    for wait_ms in waits:
        world.now += wait_ms
        world.new_leader()
        world.look(survives=False)
    until = world.now
    for _ in range(4 * len(waits)):
        world.now += 10
        world.new_leader()
        world.look(survives=True)
        world.work()

    assert {run.state for run in world.ended} <= {"finished"}
    finished = sorted(run.fire_ms for run in world.ended if run.fire_ms <= until)
    assert finished == list(range(101_000, until + 1, 1000))


def _fires(runs: list[Run]) -> Iterator[int]:
    for run in runs:
        yield from range(run.fire_ms - 1000 * (run.fires - 1), run.fire_ms + 1, 1000)
