"""Runs declared jobs, in the process of the leading scheduler: sees, decides, commits, acts.

Everything that must survive this process is in the ledgers; here are only the listings at hand and their refusals.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from precompute.declared_jobs import Declared
from precompute.errors import NearcastError, TransientError
from precompute.job_record import Progress
from precompute.job_runs import Ledger, Run
from precompute.schedules import Schedule
from precompute.store import Store
from workers.chunks import now_ms
from workers.errors import JobEnded
from workers.jobs import Jobs, Ticket
from workers.key_sources import Source, StoredKeys, source_of
from workers.schedule_events import Seen, read_events
from workers.schedule_ledger import Known, Ledgers
from workers.schedule_store import ScheduleStore
from workers.schedule_turn import Sight, Turn, current, take_turn

log = logging.getLogger(__name__)

#: `defer(action, name)`: has an action done soon, in a thread of its own.
Defer = Callable[[Callable[[], None], str], None]


class ListingStopped(TransientError):
    """Somebody else will list these keys: this process stops, or leads no more."""


class ScheduleRunner:
    """Looks at all declared jobs, as often as it is asked to; only the leader's looks do anything."""

    def __init__(
        self,
        store: Store,
        declared: ScheduleStore,
        jobs: Jobs,
        fence: Callable[[], int | None],
        defer: Defer,
        *,
        grace_ms: int,
        directory: Path,
        sync: Callable[[Mapping[str, Schedule]], None] = lambda _: None,
        on_turn: Callable[[str, Turn], None] = lambda job, turn: None,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        """Makes one.

        Args:
            fence: our term while we lead, else None.
            grace_ms: how late a run may start that was not missed.
            directory: where key files of the project file are looked for.
            sync: told what is declared, before each look.
            on_turn: told what was decided about a job, once it is committed.
        """
        self._store = store
        self._declared = declared
        self._jobs = jobs
        self._fence = fence
        self._defer = defer
        self._grace_ms = grace_ms
        self._directory = directory
        self._sync = sync
        self._on_turn = on_turn
        self._clock_ms = clock_ms
        self._ledgers = Ledgers(store)
        self._turn = threading.Lock()
        self._asked = False
        self._listing: set[str] = set()
        self._refusals: dict[str, str] = {}
        self._wanted: dict[str, set[str]] = {}
        self._told: dict[str, str] = {}
        self._stopped = False

    def stop(self) -> None:
        """Ends listings at hand; the next leader takes them up."""
        self._stopped = True

    def look(self) -> None:
        """Does what is due; for any thread: one looks, and once more if it was asked to meanwhile.

        Raises:
            StoreUnavailable: what was committed by then is found again next time.
        """
        self._asked = True
        while self._asked and self._turn.acquire(blocking=False):
            try:
                self._asked = False
                self._look()
            finally:
                self._turn.release()

    def _look(self) -> None:
        fence = self._fence()
        declared = self._declared.all()
        self._sync({name: found.schedule for name, found in declared.jobs.items()})
        if fence is not None:
            self._tell(declared.broken)
            self._look_at(list(declared.jobs.values()), fence)

    def _look_at(self, declared: list[Declared], fence: int) -> None:
        now = self._clock_ms()
        known = self._ledgers.read([found.schedule.name for found in declared])
        ledgers = [
            current(found.schedule, was.ledger, found.since_ms, now) for found, was in zip(declared, known, strict=True)
        ]
        # In this order: what has left `listing` by now is complete in what is read after it.
        listing, refusals = frozenset(self._listing), dict(self._refusals)
        progress = self._progress(ledgers)
        events = read_events(self._store, [(d.schedule, led.cursor) for d, led in zip(declared, ledgers, strict=True)])
        for found, was, ledger in zip(declared, known, ledgers, strict=True):
            seen = events.get(found.schedule.name, Seen())
            sight = Sight(
                now_ms=now,
                fence=fence,
                grace_ms=self._grace_ms,
                paused=found.paused,
                progress=progress,
                listing=listing,
                refusals=refusals,
                events=seen.events,
                read_to=seen.read_to,
            )
            self._take_turn(found, was, ledger, sight)
        self._forget_refusals(refusals)

    def _progress(self, ledgers: list[Ledger]) -> dict[str, Progress]:
        names = [job for ledger in ledgers for run in ledger.open if run.attempt for job in run.jobs]
        found = self._jobs.many(names)
        return {name: progress for name, progress in zip(names, found, strict=True) if progress is not None}

    def _take_turn(self, found: Declared, was: Known, ledger: Ledger, sight: Sight) -> None:
        name = found.schedule.name
        turn = take_turn(found.schedule, ledger, sight)
        if turn.ledger != was.ledger and not self._ledgers.commit(name, was, turn.ledger, turn.ended, sight.fence):
            # Another look of another leader was first; the next look sees what it did.
            return
        self._on_turn(name, turn)
        self._wanted[name] = {run.attempt_id for run in turn.ledger.open}
        self._act(found, turn, sight)

    def _act(self, found: Declared, turn: Turn, sight: Sight) -> None:
        for run in turn.ended:
            log.info("run %s: %s%s", run.id, run.state, f" ({run.reason})" if run.reason else "")
        for job in turn.cancel:
            self._jobs.cancel(job, sight.fence)
        for run in turn.requeue:
            log.info("run %s: taken over", run.id)
            for job in run.jobs:
                self._jobs.requeue(sight.progress[job], sight.fence)
        for run in turn.start:
            log.info("run %s: started", run.id)
            self._listing.add(run.attempt_id)
            self._defer(lambda run=run: self._list(found, run), run.attempt_id)  # type: ignore[misc]

    def _list(self, found: Declared, run: Run) -> None:
        """Lists the keys of a run and queues them; in a thread of its own."""
        try:
            for variant in run.variants:
                self._start_job(found, run, variant)
        except (JobEnded, ListingStopped):
            log.info("run %s: its keys are listed no further", run.id)
        except TransientError as error:
            log.warning("run %s: put off: %s", run.id, error)
        except NearcastError as error:
            self._refusals[run.attempt_id] = " ".join(str(error).split())
        finally:
            if not self._is_wanted(run):
                self._cancel(run)
            self._listing.discard(run.attempt_id)

    def _start_job(self, found: Declared, run: Run, variant: str) -> None:
        def go_on(_: int) -> None:
            if self._stopped or self._fence() != run.fence or not self._is_wanted(run):
                raise ListingStopped(run.id)

        schedule = found.schedule
        ticket = Ticket(schedule=schedule.name, id=run.job_id(variant), priority=schedule.priority, fence=run.fence)
        source = self.source(found)
        self._jobs.start(schedule.model, source, variant=variant, version=run.version, on_listed=go_on, ticket=ticket)

    def source(self, found: Declared) -> Source:
        """Where the keys of a job are."""
        return source_for(found, self._directory)

    def _cancel(self, run: Run) -> None:
        try:
            for job in run.jobs:
                self._jobs.cancel(job, run.fence)
        except TransientError as error:
            log.warning("run %s: cannot cancel its jobs: %s", run.id, error)

    def _is_wanted(self, run: Run) -> bool:
        return run.attempt_id in self._wanted.get(run.schedule, ())

    def _forget_refusals(self, dealt_with: Mapping[str, str]) -> None:
        wanted = set().union(*self._wanted.values())
        for attempt in dealt_with.keys() - wanted:
            self._refusals.pop(attempt, None)

    def _tell(self, broken: Mapping[str, str]) -> None:
        for name, reason in broken.items():
            if self._told.get(name) != reason:
                log.warning("declared job %s does not fit the project: %s", name, reason)
        self._told = dict(broken)


def source_for(found: Declared, directory: Path) -> Source:
    """Where the keys of a declared job are; those of a key file given by command are in Redis.

    Args:
        directory: where relative paths in the project file begin.
    """
    keys = found.schedule.keys
    if found.origin == "command" and "keys" in keys:
        return StoredKeys(found.schedule.name, str(keys["keys"]))
    return source_of(keys, directory)
