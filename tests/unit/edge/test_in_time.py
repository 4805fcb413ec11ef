"""Who is told what has come, or that the time is over."""

from __future__ import annotations

import time

from edge.in_time import InTime
from tests.waiting import until


async def _all_told(told: list[object], count: int) -> None:
    async def enough() -> bool:
        return len(told) >= count

    await until(enough)


async def test_what_comes_in_time_is_told_once() -> None:
    """Whatever comes later, and although the time is over then."""
    in_time, told = InTime(), list[object]()
    first = in_time.wait(time.monotonic() + 0.01, told.append)
    in_time.wait(time.monotonic() + 0.02, told.append)

    first.tell(1)
    first.tell(2)
    await _all_told(told, 2)

    assert told[0] == 1
    assert [type(outcome) for outcome in told] == [int, TimeoutError]


async def test_waits_end_at_their_deadlines() -> None:
    """Each at its own, and not before it; what comes too late is told to nobody."""
    in_time, ended = InTime(), list[tuple[float, object]]()
    began_s = time.monotonic()
    ends = [began_s - 1, began_s + 0.001, began_s + 0.001, began_s + 0.02]

    waits = [in_time.wait(end, lambda outcome: ended.append((time.monotonic(), outcome))) for end in ends]
    at_once = len(ended)
    await _all_told(ended, 4)  # type: ignore[arg-type]
    for wait in waits:
        wait.tell(0)

    assert at_once == 0
    assert [type(outcome) for _, outcome in ended] == [TimeoutError] * 4
    assert all(at >= end for (at, _), end in zip(ended, ends, strict=True))


async def test_one_timer_looks_after_all() -> None:
    """And none where nobody has waited since; who waits later is told all the same."""
    in_time, told = InTime(), list[object]()
    in_time.wait(time.monotonic() + 0.005, told.append)
    for i in range(100):
        in_time.wait(time.monotonic() + 10, told.append).tell(i)
    kept = len(in_time._waiting)

    await _all_told(told, 101)
    idle = in_time._is_watched
    in_time.wait(time.monotonic() + 0.005, told.append)
    await _all_told(told, 102)

    assert kept == 101
    assert not idle
    assert [type(outcome) for outcome in told[100:]] == [TimeoutError] * 2


async def test_what_has_come_is_not_kept() -> None:
    """At a steady pace there is never more than what is under way."""
    in_time, told = InTime(), list[object]()

    for i in range(1000):
        in_time.wait(time.monotonic() + 10, told.append).tell(i)

    assert len(told) == 1000
    assert len(in_time._waiting) == 1
