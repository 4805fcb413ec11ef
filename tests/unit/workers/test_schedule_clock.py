"""The times of declared jobs in APScheduler."""

from __future__ import annotations

from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler

from precompute.schedules import OnPublish, Schedule
from tests.unit.workers.schedules import schedule
from workers.schedule_clock import ScheduleClock, StartTrigger


def at(seconds: float) -> datetime:
    """A moment."""
    return datetime.fromtimestamp(seconds, UTC)


def test_the_next_time_lies_ahead() -> None:
    """However late a job is looked at: what was due meanwhile is found by one look."""
    trigger = StartTrigger(schedule(500))

    assert trigger.get_next_fire_time(None, at(100.2)) == at(100.5)
    assert trigger.get_next_fire_time(at(100.5), at(100.5)) == at(101)
    assert trigger.get_next_fire_time(at(100.5), at(107.3)) == at(107.5)


def test_times_follow_what_is_declared() -> None:
    """Jobs come and go, and change; those that run on events have no times."""
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.start(paused=True)
    clock = ScheduleClock(scheduler, "default", lambda: None)

    def names(schedules: dict[str, Schedule]) -> dict[str, object]:
        clock.sync(schedules)
        return {job.name: job.trigger for job in scheduler.get_jobs()}

    first = names({"a": schedule(500), "b": schedule("* * * * *"), "c": schedule(OnPublish())})
    second = names({"a": schedule(500), "b": schedule("0 * * * *")})
    third = names({})
    scheduler.shutdown()

    assert first.keys() == second.keys() == {"a", "b"}
    assert first["a"] is second["a"]
    assert first["b"] is not second["b"]
    assert third == {}
