"""Threads that nobody has to wait for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from edge.threads import in_thread, unfinished
from tests.waiting import until


async def test_what_it_brings_arrives_on_the_loop() -> None:
    """A result, or an error."""

    def fails() -> None:
        raise ValueError("no")

    assert await in_thread("a", lambda: threading.current_thread().name) == "a"
    with pytest.raises(ValueError, match="no"):
        await in_thread("b", fails)


async def test_who_waits_may_give_up() -> None:
    """The thread goes on, and is known as long as it does."""
    gate = threading.Event()
    waiting = in_thread("slow", gate.wait)
    waiting.cancel()

    assert "slow" in unfinished()
    gate.set()

    async def ended() -> bool:
        return "slow" not in unfinished()

    await until(ended)
    await asyncio.sleep(0)
    assert waiting.cancelled()
