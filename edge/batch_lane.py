"""What waits for one predictor, and what its batches cost; how a batch is computed is for each kind of lane to say."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from edge.flights import Flight
from edge.redis_wire import Then
from precompute.predictor import Predictor
from precompute.updates import Reply

#: Rows of one batch.
MAX_BATCH = 256
#: Weight of the newest measurement in the expected cost of a batch.
_NEWEST = 0.2

W = TypeVar("W")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Run(Generic[T]):
    """One batch on its way.

    Attributes:
        read: asks the replica for what it needs, and says who is to be told; None if it needs nothing.
        compute: made of the replies, in whichever thread.
        land: one outcome for each flight, from what was computed; on the event loop.
    """

    read: Callable[[Then], None] | None
    compute: Callable[[list[Reply]], Any]
    land: Callable[[Any], Iterable[T | Exception]]

    def timed(self, replies: list[Reply]) -> tuple[object, float]:
        """What is computed, and the processor time it took.

        By the clock, a batch that was interrupted once would seem slow; moved to a thread, it then waits for the event
        loop as well, and would seem slow for good.
        """
        began_s = time.thread_time()
        computed = self.compute(replies)
        return computed, time.thread_time() - began_s


class Lane(ABC, Generic[W, T]):
    """The flights of one predictor."""

    #: What a batch is taken to cost as long as nothing is known.
    unknown_s: ClassVar[float] = 0.0

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        #: By name; those that wait for a batch are in `waiting` as well.
        self.flights: dict[str, Flight[W, T]] = {}
        self.waiting: list[Flight[W, T]] = []
        self.under_way = 0
        self.scheduled = False
        #: Seconds by the power of two that a batch's size falls under.
        self.costs_s: dict[int, float] = {}

    @abstractmethod
    def take(self) -> list[Flight[W, T]]:
        """The flights of the next batch, which wait no longer; there is one at least."""

    @abstractmethod
    def begin(self, flights: list[Flight[W, T]]) -> Run[T]:
        """How they are computed together."""

    @abstractmethod
    def size(self, flights: list[Flight[W, T]]) -> int:
        """What a batch's cost grows with."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits or is under way."""
        return not self.waiting and not self.under_way

    def expected_s(self, size: int) -> float:
        """What a batch is likely to take.

        A size that was never seen costs at most as much a piece as the next smaller one.
        """
        power = size.bit_length()
        if power in self.costs_s:
            return self.costs_s[power]
        known = max((seen for seen in self.costs_s if seen <= power), default=power)
        return self.costs_s.get(known, self.unknown_s) * (1 << power - known)

    def learn(self, size: int, took_s: float) -> None:
        """A batch has taken so long."""
        power = size.bit_length()
        before = self.costs_s.get(power, took_s)
        self.costs_s[power] = before + _NEWEST * (took_s - before)
