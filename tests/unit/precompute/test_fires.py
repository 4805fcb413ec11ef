"""When declared jobs are due."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from precompute.cron import Cron
from precompute.fires import next_fire, next_start, opening_ms, shortest_gap_ms, start_ms
from precompute.schedules import ByCron, Every, OnPublish, Schedule, When, Window

BERLIN = ZoneInfo("Europe/Berlin")
DAY_MS = 86_400_000

moments = st.integers(1_600_000_000_000, 1_900_000_000_000)
crons = st.sampled_from(["*/15 * * * *", "7 3 * * *", "0 0 1 * *", "30 2 * * *", "0 12 * * mon-fri", "*/7 */5 * * *"])
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
windows = st.none() | st.builds(Window, st.integers(0, 1439), st.integers(0, 1439)).filter(
    lambda w: w.opens != w.closes
)


def schedule(when: When | str, **more: object) -> Schedule:
    """A declared job."""
    chosen = ByCron(Cron.parse(when)) if isinstance(when, str) else when
    return replace(Schedule(name="job", model="m", variants=("v",), keys={"all": True}, when=chosen), **more)


def ms(text: str, zone: ZoneInfo | None = None) -> int:
    """A moment in ms since 1970."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone or UTC).timestamp() * 1000)


def times(job: Schedule, after: int, count: int) -> list[str]:
    """The next fires, in UTC."""
    found = []
    fire: int | None = after
    for _ in range(count):
        assert fire is not None
        fire = next_fire(job, fire)
        assert fire is not None
        found.append(datetime.fromtimestamp(fire / 1000, UTC).strftime("%m-%d %H:%M"))
    return found


@given(moments, crons, zones, windows)
def test_a_cron_fires_on_minutes_that_it_names(after: int, text: str, zone: str, window: Window | None) -> None:
    """Later than asked for, within the window, and nothing lies between: asked from just before, it is the same."""
    job = schedule(text, timezone=ZoneInfo(zone), window=window)

    fire = next_fire(job, after)

    if fire is not None:
        assert fire > after
        assert fire % 60_000 == 0
        assert next_fire(job, fire - 1) == fire
        assert next_fire(job, (after + fire) // 2) == fire
    else:
        assert window is not None
        assert not any(map(window.holds, Cron.parse(text).minutes))


@given(moments, st.integers(100, 10 * DAY_MS), zones, windows)
def test_an_interval_fires_on_its_multiples_within_the_window(
    after: int, every_ms: int, zone: str, window: Window | None
) -> None:
    """And on the first of them."""
    job = schedule(Every(every_ms), timezone=ZoneInfo(zone), window=window)

    fire = next_fire(job, after)

    if fire is not None:
        assert fire > after
        assert fire % every_ms == 0
        assert opening_ms(window, job.timezone, fire) == fire
        assert next_fire(job, fire - 1) == fire
    if window is None:
        assert fire == (after // every_ms + 1) * every_ms


@given(moments, st.integers(0, 59_999))
def test_jitter_is_the_same_for_every_scheduler(fire: int, jitter_ms: int) -> None:
    """It is a hash of the job and the time; so another leader waits for the same moment."""
    job = schedule("* * * * *", jitter_ms=jitter_ms)

    starts = {start_ms(job, fire) for _ in range(3)}

    assert len(starts) == 1
    assert 0 <= starts.pop() - fire <= max(0, jitter_ms - 1)


def test_jitter_spreads_runs() -> None:
    """Over all of its width."""
    job = schedule(Every(1000), jitter_ms=1000)

    offsets = [start_ms(job, fire) - fire for fire in range(0, 100_000, 1000)]

    assert min(offsets) < 100
    assert max(offsets) > 900


@given(moments, st.integers(0, 59_999))
def test_the_next_start_is_that_of_the_first_fire_that_has_not_started(now: int, jitter_ms: int) -> None:
    """Even if the fire itself has passed."""
    job = schedule("* * * * *", jitter_ms=jitter_ms)

    found = next_start(job, now)

    fires = [now // 60_000 * 60_000 + n * 60_000 for n in range(-2, 4)]
    assert found == min(start_ms(job, fire) for fire in fires if start_ms(job, fire) > now)


def test_a_time_that_clocks_skip_fires_right_after() -> None:
    """On 29 March 2026 in Berlin, 2:30 does not exist; on 25 October it exists twice, and fires the first time."""
    job = schedule("30 2 * * *", timezone=BERLIN)

    assert times(job, ms("2026-03-28T12:00"), 2) == ["03-29 01:30", "03-30 00:30"]
    assert times(job, ms("2026-10-24T12:00"), 2) == ["10-25 00:30", "10-26 01:30"]


def test_a_cron_for_every_hour_fires_in_the_hours_that_there_are() -> None:
    """Each quarter of an hour, whatever clocks do."""
    job = schedule("*/15 * * * *", timezone=BERLIN)
    quarter = timedelta(minutes=15)

    for start in ("2026-03-28T23:00", "2026-10-24T22:00"):
        at = datetime.fromisoformat(start)
        wanted = [(at + n * quarter).strftime("%m-%d %H:%M") for n in range(1, 30)]
        assert times(job, ms(start), 29) == wanted


def test_a_window_may_span_midnight() -> None:
    """It holds its first minute and not its last."""
    job = schedule("0 * * * *", window=Window.parse("22:00-02:00"))

    assert times(job, ms("2026-01-01T12:00"), 5) == [
        "01-01 22:00",
        "01-01 23:00",
        "01-02 00:00",
        "01-02 01:00",
        "01-02 22:00",
    ]


def test_a_window_opens_on_the_clock_of_its_zone() -> None:
    """Now, if it is open."""
    window = Window.parse("08:00-09:00")

    assert opening_ms(window, BERLIN, ms("2026-01-01T12:00")) == ms("2026-01-02T07:00")
    assert opening_ms(window, BERLIN, ms("2026-07-01T12:00")) == ms("2026-07-02T06:00")
    assert opening_ms(window, BERLIN, ms("2026-01-01T07:30")) == ms("2026-01-01T07:30")
    assert opening_ms(None, BERLIN, 17) == 17


def test_an_interval_that_never_meets_its_window_never_fires() -> None:
    """Every day at midnight, but only in the morning."""
    assert next_fire(schedule(Every(DAY_MS), window=Window.parse("06:00-08:00")), ms("2026-01-01T12:00")) is None


@pytest.mark.parametrize(
    ("when", "gap_ms"),
    [("*/15 * * * *", 900_000), ("0 9,17 * * *", 8 * 3_600_000), ("0 3 * * *", DAY_MS), (Every(500), 500),
     (OnPublish(), None)],
)  # fmt: skip
def test_the_shortest_gap_bounds_jitter(when: When | str, gap_ms: int | None) -> None:
    """Over midnight as well."""
    assert shortest_gap_ms(schedule(when)) == gap_ms


def test_a_job_that_runs_on_events_has_no_times() -> None:
    """None at all."""
    assert next_fire(schedule(OnPublish()), 0) is None
    assert next_start(schedule(OnPublish()), 0) is None
