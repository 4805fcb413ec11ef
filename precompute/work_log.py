"""What workers have refreshed, by buckets of five seconds, in one hash for each hour. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from precompute.durations import Durations
from precompute.keys import work_key
from precompute.series import NO_WORK, Grid, Work
from precompute.store import checked
from precompute.telemetry import FINE
from precompute.updates import Command, Reply

_HOUR_MS = 3_600_000
#: A day, and the hour that is not over.
_KEEP_S = 86_400 + 3_600
_ROWS = "rows"


def add_commands(now_ms: int, rows: int, refreshed_after: Durations) -> list[Command]:
    """Counts rows that were computed, and how long after a change."""
    key, bucket = work_key(now_ms - now_ms % _HOUR_MS), FINE.begin_ms(now_ms)
    counts = [(_ROWS, rows), *((str(at), count) for at, count in refreshed_after.counts.items())]
    adding: list[Command] = [("HINCRBY", key, f"{bucket} {what}", count) for what, count in counts if count]
    return [*adding, ("EXPIRE", key, _KEEP_S)] if adding else []


def read_commands(grid: Grid) -> list[Command]:
    """What to ask for the work of a range."""
    first_ms = grid.first_ms - grid.first_ms % _HOUR_MS
    return [("HGETALL", work_key(hour_ms)) for hour_ms in range(first_ms, grid.end_ms, _HOUR_MS)]


def steps(grid: Grid, replies: Sequence[Reply]) -> list[Work]:
    """What was done in each step of a range, from the replies to `read_commands`; without a word, nothing."""
    counts: dict[int, dict[str, int]] = {}
    for reply in replies:
        flat = checked(reply)
        for name, count in zip(flat[::2], flat[1::2], strict=True):
            bucket, _, what = name.decode().partition(" ")
            step = (int(bucket) - grid.first_ms) // grid.step_ms
            if 0 <= step < grid.count:
                done = counts.setdefault(step, {})
                done[what] = done.get(what, 0) + int(count)
    return [_work(counts[step]) if step in counts else NO_WORK for step in range(grid.count)]


def _work(counts: Mapping[str, int]) -> Work:
    after = Durations({int(what): count for what, count in counts.items() if what != _ROWS})
    return Work(counts.get(_ROWS, 0), after if after.counts else None)
