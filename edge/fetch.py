"""GETs of predictions that memory does not have, asked for as plainly as can be: no conditions, a canonical key.

The ladder decides as it does for everybody. Left out is what reads targets and headers that may hold anything, which
costs as much as the read from the replica; and a task for each request, which costs a third of it: those of one turn
of the event loop are read together, and answered one after the other as soon as their values are there. Only what the
replica does not answer goes on in a task of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import NamedTuple

from edge.answer import Answer, Ask, Ladder
from edge.api.headers import answer_headers, cache_status
from edge.api.predict import Predict
from edge.api.problems import send_problem
from edge.api.wire import send_response
from edge.held import Held
from edge.hit import HitDoor, Meaning
from edge.serving import Serving
from edge.short_cut import ShortCycle
from edge.stats import Stats, Tier
from precompute.errors import NearcastError

log = logging.getLogger(__name__)


class _Fetched(NamedTuple):
    """A request on its way."""

    cycle: ShortCycle
    meaning: Meaning
    ask: Ask
    began_s: float


class Fetch:
    """Answers requests that took the short cut."""

    def __init__(
        self, hits: HitDoor, ladder: Ladder, serving: Serving, stats: Stats, predict: Predict, budget_ms: float
    ) -> None:
        self._hits = hits
        self._ladder = ladder
        self._serving = serving
        self._stats = stats
        self._predict = predict
        self._budget_s = budget_ms / 1000
        #: Those of this turn of the loop, and the reads that are under way.
        self._turn: list[_Fetched] = []
        self._reading: set[asyncio.Task[None]] = set()

    def begin(self, cycle: ShortCycle) -> bool:
        """Sees to it that a request is answered; False if it is not that plain."""
        meaning = self._hits.meaning(cycle.target)
        ask = self._ask(meaning) if meaning is not None else None
        if meaning is None or ask is None:
            return False
        try:
            self._ladder.refuse(ask)
        except NearcastError as error:
            cycle.go_on(partial(self._fail, cycle, meaning, error))
            return True
        if not self._turn:
            self._start_reading()
        self._turn.append(_Fetched(cycle, meaning, ask, time.perf_counter()))
        return True

    def _ask(self, meaning: Meaning) -> Ask | None:
        try:
            predictor = self._serving.predictor(meaning.served.model)
            key = predictor.servable.model.parse_key(meaning.key)
        except NearcastError:
            return None
        # In another spelling a request may mean something else; found out by those who read it thoroughly.
        if key.text != meaning.key:
            return None
        return Ask(predictor, key, asyncio.get_running_loop().time() + self._budget_s)

    def _start_reading(self) -> None:
        reading = asyncio.create_task(self._read())
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)

    async def _read(self) -> None:
        turn, self._turn = self._turn, []
        # They came at the same time, and have as much of it.
        values = await self._ladder.read([one.ask.name for one in turn], turn[0].ask.deadline)
        for one, value in zip(turn, values, strict=True):
            try:
                self._take(one, value)
            except Exception:
                log.exception("GET %s failed", one.cycle.path)
                one.cycle.give_up()

    def _take(self, one: _Fetched, value: bytes | None) -> None:
        answer = self._ladder.from_replica(one.ask, value)
        if answer is not None and answer.held is not None and answer.tier is Tier.REPLICA:
            one.cycle.write_soon(self._fresh(one, answer, answer.held))
        else:
            one.cycle.go_on(partial(self._go_on, one, answer))

    async def _go_on(self, one: _Fetched, answer: Answer | None) -> None:
        """For requests that the replica has nothing fresh for."""
        try:
            answer = answer or await self._ladder.from_live(one.ask)
        except NearcastError as error:
            await self._fail(one.cycle, one.meaning, error)
            return
        if answer.held is not None and answer.tier in (Tier.MEMORY, Tier.LIVE):
            await one.cycle.write(self._fresh(one, answer, answer.held))
        else:
            headers = answer_headers(answer, self._counted(one, answer))
            await send_response(one.cycle.send, 200, headers, answer.body)

    def _fresh(self, one: _Fetched, answer: Answer, held: Held) -> bytes:
        took_s = self._counted(one, answer)
        return self._hits.response(one.meaning.served, held, answer.tier, cache_status(answer), took_s)

    def _counted(self, one: _Fetched, answer: Answer) -> float:
        served = one.meaning.served
        served.count(one.meaning.key)
        took_s = time.perf_counter() - one.began_s
        self._stats.answered(served.model, answer.tier, took_s)
        return took_s

    async def _fail(self, cycle: ShortCycle, meaning: Meaning, error: NearcastError) -> None:
        self._predict.failed(meaning.served.model, error)
        await send_problem(cycle.send, error)
