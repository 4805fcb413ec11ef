"""When a job is due: pure functions of its declaration and of the time asked about, so that all schedulers agree.

A *fire* is a time at which a job should run, in ms since 1970. It stays the run's name even where jitter makes the
run start later. Times of a cron expression are times on the wall clock of the job's zone: one that is skipped when
clocks go forward fires right after, one that comes twice when they go back fires the first time; only expressions
that fire every hour fire in the real hours that there are.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from hashlib import blake2b
from zoneinfo import ZoneInfo

from precompute.cron import MINUTES_A_DAY, Cron
from precompute.schedules import ByCron, Every, Schedule, Window

_MINUTE_MS = 60_000
#: An interval that meets its window in none of so many openings never will.
_OPENINGS = 1000


def next_fire(schedule: Schedule, after_ms: int) -> int | None:
    """The first fire later than `after_ms`; None if there is none, or the job does not run by the clock."""
    match schedule.when:
        case ByCron(cron):
            return _next_cron(cron, schedule.timezone, schedule.window, after_ms)
        case Every(every_ms):
            return _next_multiple(every_ms, schedule.timezone, schedule.window, after_ms)
        case _:
            return None


def start_ms(schedule: Schedule, fire_ms: int) -> int:
    """When the run of a fire starts: jitter is a hash, so that another leader waits for the same moment."""
    if not schedule.jitter_ms:
        return fire_ms
    seed = blake2b(f"{schedule.name} {fire_ms}".encode(), digest_size=8).digest()
    return fire_ms + int.from_bytes(seed, "big") % schedule.jitter_ms


def next_start(schedule: Schedule, after_ms: int) -> int | None:
    """The first start later than `after_ms`."""
    fire = next_fire(schedule, after_ms - schedule.jitter_ms)
    while fire is not None and start_ms(schedule, fire) <= after_ms:
        fire = next_fire(schedule, fire)
    return None if fire is None else start_ms(schedule, fire)


def shortest_gap_ms(schedule: Schedule) -> int | None:
    """What surely lies between two fires; None where there are no fires by the clock."""
    match schedule.when:
        case ByCron(cron):
            minutes = cron.minutes
            following = (*minutes[1:], minutes[0] + MINUTES_A_DAY)
            return min(b - a for a, b in zip(minutes, following, strict=True)) * _MINUTE_MS
        case Every(every_ms):
            return every_ms
        case _:
            return None


def opening_ms(window: Window | None, zone: ZoneInfo, at_ms: int) -> int:
    """`at_ms` if the window is open then, else the moment at which it opens."""
    if window is None or window.holds(_minute_of_day(at_ms, zone)):
        return at_ms
    day = _local_day(at_ms, zone)
    # The day before counts too: where clocks went forward, its last minutes may lie in the next.
    candidates = [_moments(day + timedelta(days=n), window.opens, zone, twice=False) for n in (-1, 0, 1)]
    return min(moment for found in candidates for moment in found if moment > at_ms)


def _next_multiple(every_ms: int, zone: ZoneInfo, window: Window | None, after_ms: int) -> int | None:
    fire = (after_ms // every_ms + 1) * every_ms
    for _ in range(_OPENINGS):
        opens_ms = opening_ms(window, zone, fire)
        if opens_ms == fire:
            return fire
        fire = -(-opens_ms // every_ms) * every_ms
    return None


def _next_cron(cron: Cron, zone: ZoneInfo, window: Window | None, after_ms: int) -> int | None:
    day: date | None = _local_day(after_ms, zone) - timedelta(days=1)
    while day is not None and (day := cron.day_from(day)):
        fires = _fires_of_day(cron, zone, window, day)
        at = bisect_right(fires, after_ms)
        if at < len(fires):
            return fires[at]
        if not fires and not _minutes(cron, window):
            return None
        day += timedelta(days=1)
    return None


@lru_cache(maxsize=256)
def _fires_of_day(cron: Cron, zone: ZoneInfo, window: Window | None, day: date) -> tuple[int, ...]:
    found: set[int] = set()
    for minute in _minutes(cron, window):
        found.update(_moments(day, minute, zone, twice=cron.every_hour))
    return tuple(sorted(found))


def _minutes(cron: Cron, window: Window | None) -> tuple[int, ...]:
    return cron.minutes if window is None else tuple(m for m in cron.minutes if window.holds(m))


def _moments(day: date, minute: int, zone: ZoneInfo, *, twice: bool) -> list[int]:
    """When a wall clock shows a minute of a day: once, or as often as it really does."""
    local = datetime.combine(day, time(minute // 60, minute % 60), zone)
    first = _ms(local)
    if zone.key == "UTC" or not twice:
        return [first]
    shown = datetime.fromtimestamp(first / 1000, zone).replace(fold=0)
    second = _ms(local.replace(fold=1))
    return sorted({first, second}) if shown == local else []


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000


def _local_day(at_ms: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).date()


def _minute_of_day(at_ms: int, zone: ZoneInfo) -> int:
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
    return 60 * local.hour + local.minute
