"""Live answers: one flight for each key, gathered into micro-batches.

Misses of one turn of the event loop share one read of features and one run of the model. While a batch is under way
the next one gathers, so batches grow with load and nobody waits for a timer. A flight belongs to nobody: each caller
waits on a future of its own, and one that goes away cancels no more than that.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from edge.replica import Replica
from precompute.errors import Overloaded, PermanentError
from precompute.models import Key
from precompute.predictor import Batch, Plan, Predictor
from precompute.updates import Reply

#: Keys of one batch.
MAX_BATCH = 256
#: Batches of one predictor under way at once: one reads while the other computes.
MAX_UNDER_WAY = 2
#: A batch that is expected to hold the event loop for longer is computed in a thread.
INLINE_S = 0.001
#: Weight of the newest measurement in the expected cost of a batch.
_NEWEST = 0.2

T = TypeVar("T")


class _Wait(Generic[T]):
    """Somebody waits until several flights have landed."""

    __slots__ = ("_left", "_outcomes", "future")

    def __init__(self, flights: int) -> None:
        self.future: asyncio.Future[list[T | Exception]] = asyncio.get_running_loop().create_future()
        self._left = flights
        self._outcomes: list[T | Exception] = [_UNDER_WAY] * flights

    def land(self, position: int, outcome: T | Exception) -> None:
        self._outcomes[position] = outcome
        self._left -= 1
        if not self._left and not self.future.done():
            self.future.set_result(self._outcomes)


_UNDER_WAY = Overloaded("not computed yet")


@dataclass(frozen=True, slots=True)
class _Flight(Generic[T]):
    """One key under way, and who waits for it: at which position of whose outcomes."""

    key: Key
    waits: list[tuple[_Wait[T], int]] = field(default_factory=list)

    def land(self, outcome: T | Exception) -> None:
        for wait, position in self.waits:
            wait.land(position, outcome)


@dataclass(slots=True)
class _Lane(Generic[T]):
    """What waits for one predictor, and what its rows cost."""

    predictor: Predictor
    #: By the key's text; those that wait for a batch are in `waiting` as well.
    flights: dict[str, _Flight[T]] = field(default_factory=dict)
    waiting: list[_Flight[T]] = field(default_factory=list)
    under_way: int = 0
    scheduled: bool = False
    #: Seconds by the power of two that a batch's size falls under.
    costs_s: dict[int, float] = field(default_factory=dict)

    def expected_s(self, rows: int) -> float:
        """What a batch is likely to take.

        A size that was never seen costs at most as much a row as the next smaller one; the first batch is tried inline.
        """
        size = rows.bit_length()
        if size in self.costs_s:
            return self.costs_s[size]
        known = max((seen for seen in self.costs_s if seen <= size), default=size)
        return self.costs_s.get(known, 0.0) * (1 << size - known)

    def learn(self, rows: int, took_s: float) -> None:
        size = rows.bit_length()
        before = self.costs_s.get(size, took_s)
        self.costs_s[size] = before + _NEWEST * (took_s - before)


@dataclass(slots=True)
class Work:
    """What has been computed for one model; `cpu_ns` is the processors' time."""

    rows: int = 0
    batches: int = 0
    cpu_ns: int = 0


class Live(Generic[T]):
    """Computes predictions on demand from the replica's features.

    Attributes:
        waiting: keys that are waited for.
    """

    def __init__(
        self,
        replica: Replica,
        on_batch: Callable[[Predictor, Batch], Iterable[T | PermanentError]],
        now_ms: Callable[[], int],
        *,
        max_waiting: int,
    ) -> None:
        """`on_batch` says what those who wait for each key of a batch are given."""
        self._replica = replica
        self._on_batch = on_batch
        self._now_ms = now_ms
        self._max_waiting = max_waiting
        self._lanes: dict[Predictor, _Lane[T]] = {}
        self.waiting = 0
        self.rows = 0
        self.batches = 0
        self.in_threads = 0
        #: By model.
        self.work: dict[str, Work] = {}

    def is_under_way(self, predictor: Predictor, key: Key) -> bool:
        """Whether `predict` would join a flight."""
        lane = self._lanes.get(predictor)
        return lane is not None and key.text in lane.flights

    def predict(self, predictor: Predictor, keys: Sequence[Key]) -> asyncio.Future[list[T | Exception]]:
        """Joins the flights that compute these keys, or begins them.

        The future is the caller's own. It brings what has become of each key once all have landed, which those begun
        together do together, and raises nothing.
        """
        wait = _Wait[T](len(keys))
        for position, key in enumerate(keys):
            try:
                self.fly(predictor, key).waits.append((wait, position))
            except Overloaded as error:
                wait.land(position, error)
        return wait.future

    def fly(self, predictor: Predictor, key: Key) -> _Flight[T]:
        """Sees to it that a key is computed.

        Raises:
            Overloaded: too many keys are waiting.
        """
        lane = self._lanes.get(predictor) or self._open(predictor)
        return lane.flights.get(key.text) or self._begin(lane, key)

    async def close(self) -> None:
        """Waits for what is under way or waiting."""
        while lanes := [lane for lane in self._lanes.values() if lane.flights]:
            for lane in lanes:
                await self.predict(lane.predictor, [flight.key for flight in lane.flights.values()])

    def _open(self, predictor: Predictor) -> _Lane[T]:
        idle = [p for p, lane in self._lanes.items() if not lane.waiting and not lane.under_way]
        for old in idle:
            if old.servable.model is predictor.servable.model and old.servable.variant == predictor.servable.variant:
                del self._lanes[old]
        lane = self._lanes[predictor] = _Lane(predictor)
        return lane

    def _begin(self, lane: _Lane[T], key: Key) -> _Flight[T]:
        if self.waiting >= self._max_waiting:
            raise Overloaded(f"{self.waiting} keys are waiting for live inference")
        self.waiting += 1
        flight = lane.flights[key.text] = _Flight(key)
        lane.waiting.append(flight)
        self._schedule(lane)
        return flight

    def _schedule(self, lane: _Lane[T]) -> None:
        if lane.waiting and not lane.scheduled and lane.under_way < MAX_UNDER_WAY:
            lane.scheduled = True
            asyncio.get_running_loop().call_soon(self._launch, lane)

    def _launch(self, lane: _Lane[T]) -> None:
        flights, lane.waiting = lane.waiting[:MAX_BATCH], lane.waiting[MAX_BATCH:]
        lane.scheduled = False
        lane.under_way += 1
        self._schedule(lane)
        try:
            plan = lane.predictor.plan([flight.key for flight in flights])
            read = self._replica.run(plan.commands)
        except Exception as error:
            self._end(lane, flights, itertools.repeat(error))
            return
        read.add_done_callback(lambda done: self._read(lane, flights, plan, done))

    def _read(self, lane: _Lane[T], flights: list[_Flight[T]], plan: Plan, done: asyncio.Future[list[Reply]]) -> None:
        """The features are there, or cannot be had."""
        try:
            replies, predictor, now_ms = done.result(), lane.predictor, self._now_ms()
            if lane.expected_s(len(flights)) <= INLINE_S:
                self._land(lane, flights, *_complete(predictor, plan, replies, now_ms))
                return
        except Exception as error:
            self._end(lane, flights, itertools.repeat(error))
            return
        self.in_threads += 1
        loop = asyncio.get_running_loop()
        computed = loop.run_in_executor(None, _complete, predictor, plan, replies, now_ms)
        computed.add_done_callback(lambda done: self._computed(lane, flights, done))

    def _computed(self, lane: _Lane[T], flights: list[_Flight[T]], done: asyncio.Future[tuple[Batch, float]]) -> None:
        """A thread has finished."""
        try:
            self._land(lane, flights, *done.result())
        except Exception as error:
            self._end(lane, flights, itertools.repeat(error))

    def _land(self, lane: _Lane[T], flights: list[_Flight[T]], batch: Batch, took_s: float) -> None:
        rows = len(flights)
        lane.learn(rows, took_s)
        self.rows += rows
        self.batches += 1
        work = self.work.setdefault(lane.predictor.servable.model.name, Work())
        work.rows += rows
        work.batches += 1
        work.cpu_ns += int(took_s * 1e9)
        self._end(lane, flights, self._on_batch(lane.predictor, batch))

    def _end(self, lane: _Lane[T], flights: list[_Flight[T]], outcomes: Iterable[T | Exception]) -> None:
        lane.under_way -= 1
        self.waiting -= len(flights)
        for flight, outcome in zip(flights, outcomes, strict=False):
            del lane.flights[flight.key.text]
            flight.land(outcome)
        self._schedule(lane)


def _complete(predictor: Predictor, plan: Plan, replies: list[Reply], now_ms: int) -> tuple[Batch, float]:
    """A batch, and the processor time it took.

    By the clock, a batch that was interrupted once would seem slow; moved to a thread, it then waits for the event loop
    as well, and would seem slow for good.
    """
    began_s = time.thread_time()
    batch = predictor.complete(plan, replies, now_ms)
    return batch, time.thread_time() - began_s
