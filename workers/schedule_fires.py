"""Which fires of a declared job are due, and which of them are too late: decided without I/O and without a clock.

A fire that starts within the grace is in time: that is how long a change of leaders may take. What was due before was
missed. Missed runs are skipped, or made up for by one run, whatever their number; where a run in time is due as well,
that one makes up for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from precompute.fires import next_fire, opening_ms, start_ms
from precompute.job_runs import Ledger
from precompute.schedules import OnViewUpdate, Schedule
from precompute.updates import SEQUENCE_BITS, milliseconds
from workers.schedule_events import Event

#: Missed fires that are counted one by one; after a longer time without a leader, the others are passed over.
MAX_MISSED = 1000


@dataclass(frozen=True, slots=True)
class Fire:
    """A time at which a job should run.

    Attributes:
        at_ms: the time that the run is named after.
        start_ms: when it may start: later by jitter, a window or a minimum interval.
        cursor: what has been dealt with once it has been.
    """

    at_ms: int
    start_ms: int
    cursor: int
    version: int | None = None
    variant: str | None = None

    @property
    def name(self) -> str:
        """Tells it from all others of its job."""
        sequence = self.cursor & ((1 << SEQUENCE_BITS) - 1) if self.cursor != self.at_ms else 0
        return f"{self.at_ms}-{sequence}" if sequence else str(self.at_ms)


@dataclass(frozen=True, slots=True)
class Due:
    """Which fires run now, and which were missed; `passed` if there were more of these than are counted."""

    run: Sequence[Fire] = ()
    missed: Sequence[Fire] = ()
    passed: bool = False


def kind_of(schedule: Schedule) -> str:
    """What the cursor of a job counts; where that changes, the old cursor means nothing."""
    if isinstance(schedule.when, OnViewUpdate):
        return f"view {schedule.when.view}"
    return "time" if schedule.timed else "publish"


def cursor_at(schedule: Schedule, at_ms: int) -> int:
    """The cursor that has nothing before `at_ms` left to do."""
    return at_ms if schedule.timed else at_ms << SEQUENCE_BITS


def due(schedule: Schedule, ledger: Ledger, events: Sequence[Event], now_ms: int, grace_ms: int) -> Due:
    """Sorts everything that is due by now."""
    late: list[Fire] = []
    timely: list[Fire] = []
    passed = False
    fires = _timed(schedule, ledger.cursor) if schedule.timed else _on_events(schedule, ledger, events)
    for fire in fires:
        if fire.start_ms > now_ms:
            break
        if now_ms - fire.start_ms <= grace_ms:
            timely.append(fire)
        elif len(late) < MAX_MISSED:
            late.append(fire)
        elif not passed:
            passed = True
            timely = _timely(schedule, now_ms, grace_ms)
            break
    make_up = [late.pop()] if late and not timely and schedule.missed == "run-once" else []
    return Due([*make_up, *timely], late, passed)


def _timely(schedule: Schedule, now_ms: int, grace_ms: int) -> list[Fire]:
    """The fires of the grace, found without walking over all those before; their cursors pass over these."""
    found = []
    for fire in _timed(schedule, now_ms - grace_ms - schedule.jitter_ms - 1):
        if fire.start_ms > now_ms:
            break
        if now_ms - fire.start_ms <= grace_ms:
            found.append(fire)
    return found


def _timed(schedule: Schedule, after_ms: int) -> Iterator[Fire]:
    at_ms = next_fire(schedule, after_ms)
    while at_ms is not None:
        yield Fire(at_ms, start_ms(schedule, at_ms), at_ms)
        at_ms = next_fire(schedule, at_ms)


def _on_events(schedule: Schedule, ledger: Ledger, events: Sequence[Event]) -> Iterator[Fire]:
    for event in events:
        at_ms = milliseconds(event.id)
        earliest_ms = at_ms
        if isinstance(schedule.when, OnViewUpdate) and ledger.last_ms:
            earliest_ms = max(at_ms, ledger.last_ms + schedule.when.min_interval_ms)
        opens_ms = opening_ms(schedule.window, schedule.timezone, earliest_ms)
        yield Fire(at_ms, opens_ms, event.id, event.version, event.variant)
