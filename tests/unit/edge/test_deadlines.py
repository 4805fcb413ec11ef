"""Waits that end in time."""

from __future__ import annotations

import asyncio

import pytest

from edge.deadlines import Deadlines


async def test_what_comes_in_time_is_the_answer() -> None:
    """Also if it is there already, whatever the time."""
    loop, deadlines = asyncio.get_running_loop(), Deadlines()
    early, late = loop.create_future(), loop.create_future()
    early.set_result(1)
    loop.call_soon(late.set_result, 2)

    answers = [await deadlines.within(early, loop.time() - 1), await deadlines.within(late, loop.time() + 10)]

    assert answers == [1, 2]


async def test_a_failure_is_handed_on() -> None:
    """As it is."""
    loop = asyncio.get_running_loop()
    broken = loop.create_future()
    loop.call_soon(broken.set_exception, KeyError("k"))

    with pytest.raises(KeyError):
        await Deadlines().within(broken, loop.time() + 10)


async def test_waits_end_at_their_deadlines() -> None:
    """Each at its own, and not before it."""
    loop, deadlines = asyncio.get_running_loop(), Deadlines()
    ends = [loop.time() + 0.001, loop.time() + 0.011, loop.time() + 0.012, loop.time() - 1]

    async def ended_at(deadline: float) -> float:
        with pytest.raises(TimeoutError):
            await deadlines.within(loop.create_future(), deadline)
        return loop.time()

    found = await asyncio.gather(*map(ended_at, ends))

    # uvloop and asyncio both fire timers up to their clock's resolution early.
    assert all(ended >= end - 0.002 for ended, end in zip(found, ends, strict=True))


async def test_a_caller_that_leaves_is_forgotten() -> None:
    """Nothing holds on to what it waited for."""
    loop, deadlines = asyncio.get_running_loop(), Deadlines()
    waited: asyncio.Future[int] = loop.create_future()
    leaving = asyncio.create_task(deadlines.within(waited, loop.time() + 10))
    await asyncio.sleep(0)

    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)

    assert waited.cancelled()
    assert not any(deadlines._waiting.values())
