"""What is being computed, and who waits for it.

A flight belongs to nobody: each caller waits on a future of its own, and one that goes away cancels no more than that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Generic, TypeVar

import msgspec

from precompute.errors import Overloaded

#: What is computed, and what comes of it.
W = TypeVar("W")
T = TypeVar("T")


class Wait(Generic[T]):
    """Somebody waits until several flights have landed."""

    __slots__ = ("_left", "_outcomes", "future")

    def __init__(self, flights: int) -> None:
        self.future: asyncio.Future[list[T | Exception]] = asyncio.get_running_loop().create_future()
        self._left = flights
        self._outcomes: list[T | Exception] = [_UNDER_WAY] * flights

    def land(self, position: int, outcome: T | Exception) -> None:
        """One of them has landed."""
        self._outcomes[position] = outcome
        self._left -= 1
        if not self._left and not self.future.done():
            self.future.set_result(self._outcomes)


_UNDER_WAY = Overloaded("not computed yet")


class Flight(msgspec.Struct, Generic[W, T], frozen=True, eq=False):
    """One thing under way, so many rows of it, and who waits for it: at which position of whose outcomes."""

    name: str
    what: W
    rows: int = 1
    waits: list[tuple[Wait[T], int]] = msgspec.field(default_factory=list)

    def land(self, outcome: T | Exception) -> None:
        """Tells everybody."""
        for wait, position in self.waits:
            wait.land(position, outcome)


def landed(flights: Iterable[Flight[W, T]]) -> Wait[T]:
    """A wait for all of some flights, of which there is at least one."""
    joined = list(flights)
    wait: Wait[T] = Wait(len(joined))
    for position, flight in enumerate(joined):
        flight.waits.append((wait, position))
    return wait
