"""Which fires are due, in time, or missed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from precompute.job_runs import Ledger
from precompute.schedules import OnPublish, OnViewUpdate, Window
from precompute.updates import SEQUENCE_BITS
from tests.unit.workers.schedules import schedule
from workers.schedule_events import Event
from workers.schedule_fires import MAX_MISSED, Due, Fire, cursor_at, due, kind_of

HOUR_MS = 3_600_000


def event(ms: int, sequence: int = 0, **more: object) -> Event:
    """A record of a log."""
    return Event(ms << SEQUENCE_BITS | sequence, **more)  # type: ignore[arg-type]


def at(fires: Sequence[Fire]) -> list[int]:
    """When they were due."""
    return [fire.at_ms for fire in fires]


def test_what_is_in_time_runs() -> None:
    """Each of it, though several are due at once."""
    found = due(schedule(1000), Ledger("time", 5000), [], 8500, 3000)

    assert (at(found.run), at(found.missed)) == ([6000, 7000, 8000], [])


def test_what_is_late_is_made_up_for_once() -> None:
    """By the latest, where nothing else would run."""
    found = due(schedule(10_000), Ledger("time", 0), [], 35_000, 3000)

    assert (at(found.run), at(found.missed)) == ([30_000], [10_000, 20_000])


def test_a_run_in_time_makes_up_for_what_was_missed() -> None:
    """There is no reason to run twice."""
    found = due(schedule(10_000), Ledger("time", 0), [], 31_000, 3000)

    assert (at(found.run), at(found.missed)) == ([30_000], [10_000, 20_000])


def test_what_is_late_is_skipped_if_the_job_says_so() -> None:
    """All of it."""
    found = due(schedule(10_000, missed="skip"), Ledger("time", 0), [], 35_000, 3000)

    assert (at(found.run), at(found.missed)) == ([], [10_000, 20_000, 30_000])


def test_a_long_time_without_a_leader_is_passed_over() -> None:
    """It is not walked through fire by fire; what is in time runs all the same."""
    year_ms = 365 * 24 * HOUR_MS

    found = due(schedule(100), Ledger("time", 0), [], year_ms + 50, 1000)

    assert found.passed
    assert len(found.missed) == MAX_MISSED
    assert at(found.run) == list(range(year_ms - 900, year_ms + 1, 100))


@given(st.integers(0, 10**9), st.integers(0, 200_000), st.integers(0, 59_000), st.sampled_from(["skip", "run-once"]))
def test_every_fire_up_to_now_is_either_run_or_missed(cursor: int, waited: int, jitter_ms: int, missed: str) -> None:
    """And none after, whatever the jitter."""
    job = schedule("* * * * *", jitter_ms=jitter_ms, missed=missed)

    found = due(job, Ledger("time", cursor), [], cursor + waited, 30_000)

    handled = sorted([*at(found.run), *at(found.missed)])
    assert handled == list(range((cursor // 60_000 + 1) * 60_000, (max(handled, default=0)) + 1, 60_000))
    assert all(fire.start_ms <= cursor + waited for fire in [*found.run, *found.missed])
    assert not [fire for fire in found.missed if cursor + waited - fire.start_ms <= 30_000]


def test_jitter_delays_a_run_and_not_its_name() -> None:
    """The next look finds it."""
    job = schedule(10_000, jitter_ms=10_000)
    early = due(job, Ledger("time", 5000), [], 10_000, 3000)
    late = due(job, Ledger("time", 5000), [], 19_999, 20_000)

    assert at(early.run) == []
    assert at(late.run) == [10_000]


def test_each_publish_is_a_run_of_its_own() -> None:
    """For the version and variant that was published."""
    job = schedule(OnPublish())

    found = due(job, Ledger("publish", 0), [event(1000, version=3, variant="a"), event(1000, 1)], 2000, 5000)

    first, second = found.run
    assert (first.name, first.version, first.variant) == ("1000", 3, "a")
    assert second.name == "1000-1"


def test_updates_of_a_view_wait_for_the_interval() -> None:
    """Since the run before began."""
    job = schedule(OnViewUpdate("weather", 60_000))
    ledger = Ledger("view weather", 0, last_ms=50_000)

    before = due(job, ledger, [event(100_000)], 109_999, 1000)
    after = due(job, ledger, [event(100_000)], 110_000, 1000)

    assert (at(before.run), at(after.run)) == ([], [100_000])


def test_events_wait_for_the_window() -> None:
    """They are not late when it opens."""
    job = schedule(OnPublish(), window=Window.parse("22:00-06:00"))
    noon, evening = event(12 * HOUR_MS), 22 * HOUR_MS

    before = due(job, Ledger("publish", 0), [noon], evening - 1, 1000)
    after = due(job, Ledger("publish", 0), [noon], evening, 1000)

    assert (before, at(after.run)) == (Due([], [], False), [12 * HOUR_MS])


@pytest.mark.parametrize(
    ("when", "kind", "cursor"),
    [(1000, "time", 7), (OnPublish(), "publish", 7 << 20), (OnViewUpdate("w", 1), "view w", 7 << 20)],
)
def test_what_a_cursor_counts(when: object, kind: str, cursor: int) -> None:
    """Times, or ids of one log."""
    job = schedule(when)  # type: ignore[arg-type]

    assert (kind_of(job), cursor_at(job, 7)) == (kind, cursor)


def test_a_fire_of_the_clock_is_named_by_its_time() -> None:
    """Though its cursor ends in bits like those of a sequence."""
    assert Fire(123_457, 123_999, 123_457).name == "123457"
