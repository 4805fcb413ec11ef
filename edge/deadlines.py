"""Ends waits at their deadlines, with one timer for all that end in the same few milliseconds.

A timer of its own for each wait costs 5 to 10 µs, a quarter of what it takes to answer from the replica; nearly all of
them are cancelled again.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

T = TypeVar("T")

#: Waits end up to 1 ms late.
_TICKS_PER_S = 1000


class Deadlines:
    """For the waits of one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[int, set[asyncio.Future[Any]]] = {}

    async def within(self, future: asyncio.Future[T], deadline: float) -> T:
        """What the future brings, which must be the caller's own: it fails when the time is over.

        Args:
            deadline: event-loop time.

        Raises:
            TimeoutError: it brought nothing in time, or the time is over already.
        """
        loop = asyncio.get_running_loop()
        if loop.time() >= deadline and not future.done():
            raise TimeoutError
        tick = int(deadline * _TICKS_PER_S) + 1
        waiting = self._waiting.get(tick)
        if waiting is None:
            waiting = self._waiting[tick] = set()
            loop.call_at(tick / _TICKS_PER_S, self._end, tick)
        waiting.add(future)
        try:
            return await future
        finally:
            waiting.discard(future)

    def _end(self, tick: int) -> None:
        for future in self._waiting.pop(tick):
            if not future.done():
                future.set_exception(TimeoutError())
