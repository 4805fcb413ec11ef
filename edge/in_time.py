"""Tells whoever asked what has come, or that it took too long: for waits that end in the order in which they begin.

One timer looks after all of them, at the deadline of the oldest; what has come by then costs it nothing. Whoever can
wait in a coroutine, or has a deadline of any kind, takes `edge.deadlines`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Told(Generic[T]):
    """Somebody who is told once.

    Attributes:
        deadline: by the monotonic clock.
    """

    __slots__ = ("_then", "deadline")

    def __init__(self, deadline: float, then: Callable[[T | TimeoutError], None]) -> None:
        self.deadline = deadline
        self._then: Callable[[T | TimeoutError], None] | None = then

    @property
    def is_over(self) -> bool:
        """Whether it has been told."""
        return self._then is None

    def tell(self, outcome: T | TimeoutError) -> None:
        """This has come; whatever comes later is told to nobody."""
        then, self._then = self._then, None
        if then is not None:
            then(outcome)


class InTime:
    """The waits of one event loop whose deadlines come in the order in which they begin."""

    def __init__(self) -> None:
        self._waiting: deque[Told[Any]] = deque()
        self._is_watched = False

    def wait(self, deadline: float, then: Callable[[T | TimeoutError], None]) -> Told[T]:
        """Somebody who is told what has come, or TimeoutError at the deadline."""
        told: Told[T] = Told(deadline, then)
        waiting = self._waiting
        while waiting and waiting[0].is_over:
            waiting.popleft()
        waiting.append(told)
        if not self._is_watched:
            self._watch()
        return told

    def _watch(self) -> None:
        self._is_watched = bool(self._waiting)
        if self._waiting:
            # An event loop's clock is the monotonic one.
            asyncio.get_running_loop().call_at(self._waiting[0].deadline, self._look)

    def _look(self) -> None:
        waiting, now_s = self._waiting, time.monotonic()
        while waiting and (waiting[0].is_over or waiting[0].deadline <= now_s):
            waiting.popleft().tell(TimeoutError())
        self._watch()
