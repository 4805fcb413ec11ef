"""Replays a real day against a simulated clock: features stream in, passengers ask, answers are scored."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

import msgspec

from deploy.demo.events import Departure, FeatureEvent
from deploy.demo.passengers import Passengers
from deploy.demo.probes import Prober, choose
from deploy.demo.scoreboard import Scoreboard
from deploy.demo.tables import unix_s
from deploy.load.http_client import Connection, Reply
from precompute.errors import StoreUnavailable
from precompute.features import Features, Row

MODEL = "late"
#: Connections that the passengers share; each carries one request at a time.
CONNECTIONS = 16
#: How often due events are handed over; a change reaches Redis at most so much later than simulated.
_TICK_S = 0.02
#: A change that is followed has one of so many flights behind it.
_HOTTEST = 50
_TIER = re.compile(rb"^(\w+);")


class _Body(msgspec.Struct):
    outputs: dict[str, float]


_DECODER = msgspec.json.Decoder(_Body)


@dataclass(frozen=True, slots=True)
class SimulatedClock:
    """Minutes of the day that pass `speed` to a real second."""

    start_min: float
    speed: float
    started_s: float = field(default_factory=time.monotonic)

    def minute(self) -> float:
        """Now, as minutes like in `tables`."""
        return self.start_min + (time.monotonic() - self.started_s) * self.speed


def put_events(features: Features, events: Iterable[FeatureEvent]) -> int:
    """Stores events, those of a view together; how many rows changed."""
    by_view: dict[str, list[Row]] = {}
    for event in events:
        row = Row(event.entity, event.values, int(unix_s(event.minute) * 1000))
        by_view.setdefault(event.view, []).append(row)
    changed = 0
    for view, rows in by_view.items():
        result = features.put(view, rows)
        if result.rejected:
            raise ValueError(f"the demo's own row was rejected: {view}: {result.rejected[0][1]}")
        changed += result.written
    return changed


class Replay:
    """One run; `updates` and `board` may be looked at while it goes on."""

    def __init__(
        self,
        features: Features,
        events: Sequence[FeatureEvent],
        departures: Sequence[Departure],
        clock: SimulatedClock,
        rate: float,
    ) -> None:
        self.board = Scoreboard()
        self.clock = clock
        self.updates = 0
        #: Features could not be stored for a while; they are tried again.
        self.put_failures = 0
        self._features = features
        self._events = deque(e for e in events if e.minute >= clock.start_min)
        self._passengers = Passengers(departures)
        self._rate = rate
        self._random = Random(1)  # noqa: S311 - which change is followed is no secret
        self._idle: asyncio.Queue[Connection] = asyncio.Queue()

    async def run(
        self,
        host: str,
        port: int,
        *,
        stop_min: float,
        until_s: float,
        stop: Callable[[], bool],
        prober: Prober | None = None,
    ) -> None:
        """Streams and asks until the simulated day or the real time is over, or `stop` says so."""
        connections = [await Connection.open(host, port) for _ in range(CONNECTIONS)]
        for connection in connections:
            self._idle.put_nowait(connection)

        def over() -> bool:
            return self.clock.minute() >= stop_min or time.monotonic() >= until_s or stop()

        try:
            await asyncio.gather(self._stream(over, prober), self._ask(over, host, port))
        finally:
            while not self._idle.empty():
                self._idle.get_nowait().close()

    async def _stream(self, over: Callable[[], bool], prober: Prober | None) -> None:
        while not over():
            due = []
            now_min = self.clock.minute()
            while self._events and self._events[0].minute <= now_min:
                due.append(self._events.popleft())
            if due:
                await self._put(due, prober)
            await asyncio.sleep(_TICK_S)

    async def _put(self, due: Sequence[FeatureEvent], prober: Prober | None) -> None:
        putting = asyncio.ensure_future(asyncio.to_thread(put_events, self._features, due))
        if prober is not None and prober.is_due(time.monotonic()):
            hottest = self._passengers.hottest(self.clock.minute(), _HOTTEST)
            followed = choose(prober.model, due, hottest, self._random)
            if followed is not None:
                prober.follow(followed, putting)
        try:
            self.updates += await putting
        except StoreUnavailable:
            self.put_failures += 1
            self._events.extendleft(reversed(due))

    async def _ask(self, over: Callable[[], bool], host: str, port: int) -> None:
        """Requests at a constant rate, each on a connection of its own for as long as it takes."""
        asked: set[asyncio.Task[None]] = set()
        began = time.monotonic()
        count = 0
        while not over():
            due = int((time.monotonic() - began) * self._rate) - count
            for _ in range(due):
                count += 1
                flight = self._passengers.draw(self.clock.minute())
                if flight is not None:
                    task = asyncio.create_task(self._request(flight, host, port))
                    asked.add(task)
                    task.add_done_callback(asked.discard)
            await asyncio.sleep(1 / self._rate)
        if asked:
            await asyncio.wait(asked, timeout=5)

    async def _request(self, flight: Departure, host: str, port: int) -> None:
        connection = await self._idle.get()
        minute = self.clock.minute()
        try:
            if not connection.is_open:
                connection = await Connection.open(host, port)
            reply = await connection.get(f"/v1/predict/{MODEL}/{flight.key}")
        except (StoreUnavailable, OSError) as error:
            self.board.failed(str(error))
        else:
            self._score(flight, minute, reply)
        finally:
            self._idle.put_nowait(connection)

    def _score(self, flight: Departure, minute: float, reply: Reply) -> None:
        if reply.status != 200:
            self.board.failed(f"status {reply.status}: {reply.body[:200]!r}")
            return
        match = _TIER.match(reply.headers.get(b"server-timing", b""))
        tier = match[1].decode() if match else "unknown"
        probability = _DECODER.decode(reply.body).outputs["late"]
        self.board.answered(flight, minute, tier, probability, reply.took_s)
