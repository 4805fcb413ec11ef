"""Live answers, for keys and for rows that a request brings along: gathered into micro-batches.

Misses of one turn of the event loop share one read of features and one run of the model. While a batch is under way
the next one gathers, so batches grow with load and nobody waits for a timer. Keys have one flight each, however many
ask; what a request brings along has one of its own.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Container, Iterable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from edge.batch_lane import Lane, Run
from edge.computed import Computed
from edge.flights import Flight, Wait, landed
from edge.key_lane import KeyLane
from edge.redis_wire import Outcome
from edge.replica import Replica
from edge.tensor_lane import GivenRows, Outputs, TensorLane
from precompute.errors import ModelStuck, Overloaded, PermanentError, StoreUnavailable
from precompute.models import Key
from precompute.predictor import Batch, Predictor
from precompute.updates import Reply

#: Batches of one lane under way at once: one reads while the other computes.
MAX_UNDER_WAY = 2
#: A batch that is expected to hold the event loop for longer is computed in a thread.
INLINE_S = 0.001
#: What a run that was ended is reckoned to take.
_STUCK_S = 1.0
#: Rows that requests bring along may take this share of those that may wait; the rest is for keys.
_GIVEN_SHARE = 0.5

T = TypeVar("T")
#: Lanes of both kinds are driven alike.
_AnyLane = Lane[Any, Any]
_AnyFlight = Flight[Any, Any]
_Flights = list[_AnyFlight]
L = TypeVar("L", bound=_AnyLane)


class Live(Generic[T]):
    """Computes predictions on demand.

    Attributes:
        waiting: rows that are waited for; one for each key.
        given_waiting: those of them that requests have brought along.
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
        self._lanes: dict[Predictor, KeyLane[T]] = {}
        self._tensor_lanes: dict[Predictor, TensorLane] = {}
        self.waiting = 0
        self.given_waiting = 0
        self.rows = 0
        self.batches = 0
        self.in_threads = 0
        #: By model.
        self.work: dict[str, Computed] = {}

    def under_way(self, predictor: Predictor) -> Container[str]:
        """The keys, as texts, whose flights `predict` would join."""
        lane = self._lanes.get(predictor)
        return lane.flights if lane is not None else ()

    def predict(
        self, predictor: Predictor, keys: Sequence[Key], *, at_once: bool = False
    ) -> asyncio.Future[list[T | Exception]]:
        """Joins the flights that compute these keys, or begins them.

        The future is the caller's own. It brings what has become of each key once all have landed, which those begun
        together do together, and raises nothing. Whoever has gathered already need not wait for this turn: `at_once`.
        """
        wait: Wait[T] = Wait(len(keys))
        lane = self._lane(predictor)
        for position, key in enumerate(keys):
            try:
                self._flight(lane, key).waits.append((wait, position))
            except Overloaded as error:
                wait.land(position, error)
        self._schedule(lane, at_once=at_once)
        return wait.future

    def fly(self, predictor: Predictor, key: Key) -> Flight[Key, T]:
        """Sees to it that a key is computed.

        Raises:
            Overloaded: too many keys are waiting.
        """
        lane = self._lane(predictor)
        flight = self._flight(lane, key)
        self._schedule(lane)
        return flight

    def _flight(self, lane: KeyLane[T], key: Key) -> Flight[Key, T]:
        return lane.flights.get(key.text) or self._begin(lane, Flight(key.text, key))

    def _lane(self, predictor: Predictor) -> KeyLane[T]:
        lane = self._lanes.get(predictor)
        if lane is None:
            lane = _opened(self._lanes, KeyLane(predictor, self._replica, self._keys_landed, self._now_ms))
        return lane

    def run(self, predictor: Predictor, given: GivenRows) -> asyncio.Future[list[Outputs | Exception]]:
        """Computes what a request has brought along, or joins the flight of the same rows.

        The future is the caller's own; it brings one outcome and raises nothing.

        Raises:
            Overloaded: too many rows are waiting.
        """
        lane = self._tensor_lanes.get(predictor) or _opened(self._tensor_lanes, TensorLane(predictor))
        flight = lane.flights.get(given.name)
        if flight is None:
            if self.given_waiting >= self._max_waiting * _GIVEN_SHARE:
                raise Overloaded(f"{self.given_waiting} given rows are waiting for live inference")
            flight = self._begin(lane, Flight(given.name, given, given.rows))
            self.given_waiting += given.rows
            self._schedule(lane)
        return landed([flight]).future

    async def close(self) -> None:
        """Waits for what is under way or waiting."""
        while busy := self._busy():
            for lane in busy:
                await landed(lane.flights.values()).future

    def _busy(self) -> list[_AnyLane]:
        lanes: list[_AnyLane] = [*self._lanes.values(), *self._tensor_lanes.values()]
        return [lane for lane in lanes if lane.flights]

    def _keys_landed(self, predictor: Predictor, batch: Batch) -> Iterable[T | PermanentError]:
        return self._on_batch(predictor, batch)

    def _begin(self, lane: _AnyLane, flight: _AnyFlight) -> _AnyFlight:
        if self.waiting >= self._max_waiting:
            raise Overloaded(f"{self.waiting} keys are waiting for live inference")
        self.waiting += flight.rows
        lane.flights[flight.name] = flight
        lane.waiting.append(flight)
        return flight

    def _schedule(self, lane: _AnyLane, *, at_once: bool = False) -> None:
        if lane.waiting and not lane.scheduled and lane.under_way < MAX_UNDER_WAY:
            lane.scheduled = True
            loading = lane.predictor.loading()
            if loading is not None:
                loading.add_done_callback(lambda _: self._launch(lane))
            elif at_once:
                self._launch(lane)
            else:
                asyncio.get_running_loop().call_soon(self._launch, lane)

    def _launch(self, lane: _AnyLane) -> None:
        flights = lane.take()
        lane.scheduled = False
        lane.under_way += 1
        self._schedule(lane)
        try:
            run = lane.begin(flights)
            if run.read is not None:
                run.read(partial(self._have_read, lane, flights, run))
                return
        except Exception as error:
            self._end(lane, flights, itertools.repeat(error))
            return
        self._compute(lane, flights, run, [])

    def _have_read(self, lane: _AnyLane, flights: _Flights, run: Run[Any], outcome: Outcome) -> None:
        """What it needs is there, or cannot be had."""
        if isinstance(outcome, StoreUnavailable):
            self._end(lane, flights, itertools.repeat(outcome))
        else:
            self._compute(lane, flights, run, outcome)

    def _compute(self, lane: _AnyLane, flights: _Flights, run: Run[Any], replies: list[Reply]) -> None:
        try:
            if lane.expected_s(lane.size(flights)) <= INLINE_S:
                self._land(lane, flights, run, *run.timed(replies))
                return
        except Exception as error:
            if isinstance(error, ModelStuck):
                # The next one shall not hold up the event loop.
                lane.learn(lane.size(flights), _STUCK_S)
            self._end(lane, flights, itertools.repeat(error))
            return
        self.in_threads += 1
        computed = asyncio.get_running_loop().run_in_executor(None, run.timed, replies)
        computed.add_done_callback(lambda done: self._from_thread(lane, flights, run, done))

    def _from_thread(
        self,
        lane: _AnyLane,
        flights: _Flights,
        run: Run[Any],
        done: asyncio.Future[tuple[object, float]],
    ) -> None:
        try:
            self._land(lane, flights, run, *done.result())
        except Exception as error:
            self._end(lane, flights, itertools.repeat(error))

    def _land(self, lane: _AnyLane, flights: _Flights, run: Run[Any], result: object, took_s: float) -> None:
        rows = sum([flight.rows for flight in flights])
        lane.learn(lane.size(flights), took_s)
        self.rows += rows
        self.batches += 1
        self.work.setdefault(lane.predictor.servable.model.name, Computed()).add(rows, took_s)
        self._end(lane, flights, run.land(result))

    def _end(self, lane: _AnyLane, flights: _Flights, outcomes: Iterable[object]) -> None:
        lane.under_way -= 1
        rows = sum([flight.rows for flight in flights])
        self.waiting -= rows
        if isinstance(lane, TensorLane):
            self.given_waiting -= rows
        for flight, outcome in zip(flights, outcomes, strict=False):
            del lane.flights[flight.name]
            flight.land(outcome)
        self._schedule(lane)


def _opened(lanes: dict[Predictor, L], lane: L) -> L:
    """Adds a lane; those of versions that it replaces are closed, so that the versions can be freed."""
    new = lane.predictor.servable
    for old in [predictor for predictor, other in lanes.items() if other.is_idle]:
        if old.servable.model is new.model and old.servable.variant == new.variant:
            del lanes[old]
    lanes[lane.predictor] = lane
    return lane
