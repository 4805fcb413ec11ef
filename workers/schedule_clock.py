"""The times of declared jobs in APScheduler: rebuilt in memory from what is declared, never stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.base import BaseTrigger

from precompute.fires import next_start
from precompute.schedules import Schedule


class StartTrigger(BaseTrigger):  # type: ignore[misc]
    """Fires whenever a run of a job may start by the clock, jitter included."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The next start; none of the past, as a look at a job finds everything that is due."""
        after = max(previous_fire_time or now, now)
        found_ms = next_start(self._schedule, int(after.timestamp() * 1000))
        return None if found_ms is None else datetime.fromtimestamp(found_ms / 1000, UTC)


class ScheduleClock:
    """Has a job looked at when it is due."""

    def __init__(self, scheduler: BaseScheduler, executor: str, look: Callable[[], None]) -> None:
        self._scheduler = scheduler
        self._executor = executor
        self._look = look
        self._known: dict[str, Schedule] = {}

    def sync(self, schedules: Mapping[str, Schedule]) -> None:
        """Takes in what is declared by now; what has not changed keeps its next time."""
        timed = {name: schedule for name, schedule in schedules.items() if schedule.timed}
        for name in self._known.keys() - timed.keys():
            with suppress(JobLookupError):
                self._scheduler.remove_job(_id(name))
        for name, schedule in timed.items():
            if self._known.get(name) != schedule:
                trigger = StartTrigger(schedule)
                self._scheduler.add_job(
                    self._look, trigger, id=_id(name), name=name, executor=self._executor, replace_existing=True
                )
        self._known = timed


def _id(name: str) -> str:
    return f"schedule:{name}"
