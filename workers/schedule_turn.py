"""One look at a declared job: what has become of its open runs, and which runs begin. No I/O, no clock.

1. Runs at work end (finished, failed, timed out, refused), go on, or are taken over from a leader before us: listed
   runs are queued again under our number, others are listed anew.
2. What is due begins, waits, replaces or gives way, as the job's overlap says.
3. A run that waits begins when nothing is at work.

The result is a new ledger, to be committed *before* anything is done about it: whoever dies in between leaves runs
that the next leader finds open and not listed, and therefore lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from precompute.job_record import Progress
from precompute.job_runs import Ledger, Run, State
from precompute.schedules import Schedule
from workers.schedule_events import Event
from workers.schedule_fires import Due, Fire, cursor_at, due, kind_of

#: Runs of one job that may wait for the one at work; more would only come later and later.
MAX_QUEUED = 10
#: A run whose keys have been listed so often without coming to an end will not come to one.
MAX_ATTEMPTS = 10
#: Longest pause before keys are listed anew where that has failed: a server that is away may come back.
MAX_PAUSE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a leader sees when it looks at a job.

    Attributes:
        fence: our term.
        grace_ms: a fire that starts later than this was missed.
        listing: attempts whose keys this process is listing, seen before `progress` was.
        refusals: attempts that could not be listed, and why.
        events: what the job may run on, after the ledger's cursor.
        read_to: the end of the log as far as it was read for that.
    """

    now_ms: int
    fence: int
    grace_ms: int
    paused: bool = False
    progress: Mapping[str, Progress] = field(default_factory=dict)
    listing: Set[str] = frozenset()
    refusals: Mapping[str, str] = field(default_factory=dict)
    events: Sequence[Event] = ()
    read_to: int = 0


@dataclass(slots=True)
class Turn:
    """What a look decides.

    Attributes:
        ended: runs that are over.
        start: runs whose keys are to be listed.
        requeue: runs taken over, whose undone chunks are to be queued again.
        cancel: jobs to be ended.
    """

    ledger: Ledger
    ended: list[Run] = field(default_factory=list)
    start: list[Run] = field(default_factory=list)
    requeue: list[Run] = field(default_factory=list)
    cancel: list[str] = field(default_factory=list)


def current(schedule: Schedule, ledger: Ledger | None, since_ms: int, now_ms: int) -> Ledger:
    """The ledger to go on from: a new one for a new job, or one that runs on something else by now.

    Args:
        since_ms: fires before this are none of the job's, as it was not declared yet, or paused; 0 if nobody knows.
    """
    if ledger is None or ledger.kind != kind_of(schedule):
        known = ledger or Ledger("", 0)
        return replace(known, kind=kind_of(schedule), cursor=cursor_at(schedule, since_ms or now_ms))
    return replace(ledger, cursor=max(ledger.cursor, cursor_at(schedule, since_ms)))


def take_turn(schedule: Schedule, ledger: Ledger, sight: Sight) -> Turn:
    """Decides what is to be done about a job now; `ledger` comes from `current`."""
    return _Decision(schedule, ledger, sight).take()


class _Decision:
    """The three steps of one turn."""

    def __init__(self, schedule: Schedule, ledger: Ledger, sight: Sight) -> None:
        self._schedule = schedule
        self._sight = sight
        self._before = ledger
        self._cursor = ledger.cursor
        self._last_ms = ledger.last_ms
        self._open: list[Run] = []
        self._turn = Turn(ledger)

    def take(self) -> Turn:
        for run in self._before.open:
            self._settle(run)
        if not self._sight.paused:
            self._admit(due(self._schedule, self._before, self._sight.events, self._sight.now_ms, self._sight.grace_ms))
            self._start_waiting()
        self._turn.ledger = replace(self._before, cursor=self._cursor, last_ms=self._last_ms, open=tuple(self._open))
        return self._turn

    def _settle(self, run: Run) -> None:
        if run.state == "queued":
            self._open.append(run)
            return
        found = [self._sight.progress.get(job) for job in run.jobs]
        listed = [progress for progress in found if progress is not None and progress.listed]
        complete = len(listed) == len(found)
        if reason := self._sight.refusals.get(run.attempt_id):
            self._end(run, "refused", reason)
        elif complete and all(progress.finished_ms for progress in listed):
            self._finish(run, listed)
        elif self._over_time(run):
            self._end(run, "timed out", f"took longer than {(self._schedule.time_limit_ms or 0) / 1000:g} s")
        elif run.attempt_id in self._sight.listing:
            self._open.append(run)
        elif not complete:
            self._list_again(run)
        else:
            self._take_over(run)

    def _over_time(self, run: Run) -> bool:
        limit_ms = self._schedule.time_limit_ms
        return limit_ms is not None and self._sight.now_ms - run.started_ms > limit_ms

    def _finish(self, run: Run, jobs: list[Progress]) -> None:
        cancelled = any(progress.cancelled for progress in jobs)
        written = sum(progress.written for progress in jobs)
        if cancelled:
            self._end(run, "failed", "its job was cancelled")
        elif written or not sum(progress.failed for progress in jobs):
            self._end(run, "finished", ended_ms=max(progress.finished_ms for progress in jobs))
        else:
            self._end(run, "failed", "not one key could be computed")

    def _take_over(self, run: Run) -> None:
        if run.fence != self._sight.fence:
            run = replace(run, fence=self._sight.fence)
            self._turn.requeue.append(run)
        self._open.append(run)

    def _list_again(self, run: Run) -> None:
        if run.attempt >= MAX_ATTEMPTS:
            self._end(run, "failed", f"its keys were listed {MAX_ATTEMPTS} times and never to the end")
            return
        pause_ms = min(1000 << run.attempt, MAX_PAUSE_MS)
        if run.fence == self._sight.fence and self._sight.now_ms - run.attempted_ms < pause_ms:
            self._open.append(run)
            return
        self._turn.cancel += run.jobs
        self._begin(run)

    def _begin(self, run: Run) -> None:
        now_ms = self._sight.now_ms
        run = replace(
            run,
            state="running",
            fence=self._sight.fence,
            attempt=run.attempt + 1,
            attempted_ms=now_ms,
            started_ms=run.started_ms or now_ms,
        )
        self._open.append(run)
        self._turn.start.append(run)

    def _admit(self, found: Due) -> None:
        if found.missed:
            self._record_missed(found)
        for fire in found.run:
            self._arrive(fire)
        if found.passed:
            past_ms = self._sight.now_ms - self._sight.grace_ms - self._schedule.jitter_ms - 1
            self._cursor = max(self._cursor, past_ms)
        if not found.run and not found.missed and not self._sight.events:
            # Nothing in the log up to here concerns this job.
            self._cursor = max(self._cursor, self._sight.read_to)

    def _record_missed(self, found: Due) -> None:
        last = found.missed[-1]
        reason = "nobody led when it was due"
        if found.passed:
            reason += "; there were more than are counted here"
        self._cursor = max(self._cursor, last.cursor)
        self._turn.ended.append(
            replace(
                self._run(last), state="missed", reason=reason, fires=len(found.missed), ended_ms=self._sight.now_ms
            )
        )

    def _arrive(self, fire: Fire) -> None:
        run = self._run(fire)
        self._cursor = max(self._cursor, fire.cursor)
        busy = [other for other in self._open if other.state == "running"]
        if not self._open:
            self._last_ms = self._sight.now_ms
            self._begin(run)
        elif self._schedule.overlap == "replace":
            for other in self._open:
                self._end(other, "replaced", f"by run {run.id}")
            self._open.clear()
            self._turn.start.clear()
            self._last_ms = self._sight.now_ms
            self._begin(run)
        elif self._schedule.overlap == "queue" and len(self._open) - len(busy) < MAX_QUEUED:
            self._open.append(run)
        else:
            self._end(run, "skipped", f"run {self._open[0].id} was at work")

    def _run(self, fire: Fire) -> Run:
        variants = self._schedule.variants if fire.variant is None else (fire.variant,)
        name = self._schedule.name
        return Run(schedule=name, id=f"{name}.{fire.name}", fire_ms=fire.at_ms, variants=variants, version=fire.version)

    def _start_waiting(self) -> None:
        if self._open and all(run.state == "queued" for run in self._open):
            run = self._open.pop(0)
            self._last_ms = self._sight.now_ms
            waiting, self._open = self._open, []
            self._begin(run)
            self._open += waiting

    def _end(self, run: Run, state: State, reason: str = "", *, ended_ms: int = 0) -> None:
        known = [p for p in map(self._sight.progress.get, run.jobs) if p is not None]
        # Those that are not there yet, too: their keys may be being listed at this moment.
        over = {p.job.id for p in known if p.finished_ms}
        self._turn.cancel += [job for job in run.jobs if run.attempt and job not in over]
        self._turn.requeue = [other for other in self._turn.requeue if other.id != run.id]
        self._turn.ended.append(
            replace(
                run,
                state=state,
                reason=reason,
                ended_ms=ended_ms or self._sight.now_ms,
                total=sum(p.total for p in known),
                written=sum(p.written for p in known),
                failed=sum(p.failed for p in known),
            )
        )
