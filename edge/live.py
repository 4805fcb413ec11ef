"""Live answers: one flight for each key, gathered into micro-batches.

Misses of one turn of the event loop share one read of features and one run of the model. While a batch is under way
the next one gathers, so batches grow with load and nobody waits for a timer. A flight belongs to nobody: a caller that
goes away cancels its own wait only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.replica import Replica
from precompute.entry import Entry
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

Flight = asyncio.Future[Entry]


@dataclass(slots=True)
class _Lane:
    """What waits for one predictor, and what its rows cost."""

    predictor: Predictor
    waiting: list[tuple[Key, Flight]] = field(default_factory=list)
    under_way: int = 0
    scheduled: bool = False
    #: Seconds by the power of two that a batch's size falls under.
    costs_s: dict[int, float] = field(default_factory=dict)

    def expected_s(self, rows: int) -> float:
        """What a batch is likely to take.

        A size that was never seen costs at most as much a row as the next smaller one; the first batch is tried inline.
        """
        size = rows.bit_length()
        known = max((seen for seen in self.costs_s if seen <= size), default=size)
        return self.costs_s.get(known, 0.0) * (1 << size - known)

    def learn(self, rows: int, took_s: float) -> None:
        size = rows.bit_length()
        before = self.costs_s.get(size, took_s)
        self.costs_s[size] = before + _NEWEST * (took_s - before)


class Live:
    """Computes predictions on demand from the replica's features."""

    def __init__(
        self,
        replica: Replica,
        on_batch: Callable[[Predictor, Batch], None],
        now_ms: Callable[[], int],
        *,
        max_waiting: int,
    ) -> None:
        self._replica = replica
        self._on_batch = on_batch
        self._now_ms = now_ms
        self._max_waiting = max_waiting
        self._flights: dict[tuple[Predictor, str], Flight] = {}
        self._lanes: dict[Predictor, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.rows = 0
        self.batches = 0
        self.in_threads = 0

    @property
    def waiting(self) -> int:
        """Keys that are waited for."""
        return len(self._flights)

    def is_under_way(self, predictor: Predictor, key: Key) -> bool:
        """Whether `predict` would join a flight."""
        return (predictor, key.text) in self._flights

    def predict(self, predictor: Predictor, key: Key) -> Flight:
        """The flight that computes this key, shared by everybody who asks meanwhile; await it shielded.

        Raises:
            Overloaded: too many keys are waiting.
        """
        name = (predictor, key.text)
        flight = self._flights.get(name)
        if flight is not None:
            return flight
        if len(self._flights) >= self._max_waiting:
            raise Overloaded(f"{len(self._flights)} keys are waiting for live inference")
        flight = asyncio.get_running_loop().create_future()
        self._flights[name] = flight
        lane = self._lanes.get(predictor) or self._open(predictor)
        lane.waiting.append((key, flight))
        self._schedule(lane)
        return flight

    async def close(self) -> None:
        """Waits for what is under way or waiting."""
        while self._flights or self._tasks:
            await asyncio.gather(asyncio.sleep(0), *self._tasks, return_exceptions=True)

    def _open(self, predictor: Predictor) -> _Lane:
        idle = [p for p, lane in self._lanes.items() if not lane.waiting and not lane.under_way]
        for old in idle:
            if old.servable.model is predictor.servable.model and old.servable.variant == predictor.servable.variant:
                del self._lanes[old]
        lane = self._lanes[predictor] = _Lane(predictor)
        return lane

    def _schedule(self, lane: _Lane) -> None:
        if not lane.scheduled and lane.under_way < MAX_UNDER_WAY:
            lane.scheduled = True
            asyncio.get_running_loop().call_soon(self._launch, lane)

    def _launch(self, lane: _Lane) -> None:
        lane.scheduled = False
        batch, lane.waiting = lane.waiting[:MAX_BATCH], lane.waiting[MAX_BATCH:]
        if batch:
            lane.under_way += 1
            task = asyncio.create_task(self._fly(lane, batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if lane.waiting:
            self._schedule(lane)

    async def _fly(self, lane: _Lane, waiting: list[tuple[Key, Flight]]) -> None:
        predictor = lane.predictor
        try:
            plan = predictor.plan([key for key, _ in waiting])
            replies = await self._replica.run(plan.commands)
            batch = await self._compute(lane, plan, replies)
            self._land(predictor, waiting, batch)
        except Exception as error:
            for key, flight in waiting:
                self._finish(predictor, key, flight, error)
        finally:
            lane.under_way -= 1
            if lane.waiting:
                self._schedule(lane)

    async def _compute(self, lane: _Lane, plan: Plan, replies: list[Reply]) -> Batch:
        rows = len(plan.keys)
        began = time.perf_counter()
        if lane.expected_s(rows) <= INLINE_S:
            batch = lane.predictor.complete(plan, replies, self._now_ms())
        else:
            self.in_threads += 1
            batch = await asyncio.to_thread(lane.predictor.complete, plan, replies, self._now_ms())
        lane.learn(rows, time.perf_counter() - began)
        self.rows += rows
        self.batches += 1
        return batch

    def _land(self, predictor: Predictor, waiting: list[tuple[Key, Flight]], batch: Batch) -> None:
        self._on_batch(predictor, batch)
        for i, (key, flight) in enumerate(waiting):
            body = batch.bodies[i]
            self._finish(predictor, key, flight, body if isinstance(body, PermanentError) else batch.entry(i))

    def _finish(self, predictor: Predictor, key: Key, flight: Flight, result: Entry | Exception) -> None:
        self._flights.pop((predictor, key.text), None)
        if flight.done():
            return
        if isinstance(result, Exception):
            flight.set_exception(result)
            flight.exception()  # Nobody may be waiting any more.
        else:
            flight.set_result(result)
