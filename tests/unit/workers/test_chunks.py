"""The clock of a sweep tells a job that somebody is at work."""

from __future__ import annotations

from workers.chunks import ACTIVITY_MS, ShowingClock


def test_activity_is_shown_now_and_then() -> None:
    """About once a second, however often the clock is asked."""
    now = 1000
    shown: list[int] = []
    clock = ShowingClock(shown.append, lambda: now)
    for _ in range(35):
        now += 100
        clock()

    assert shown == [1000 + ACTIVITY_MS * n for n in (1, 2, 3)]
