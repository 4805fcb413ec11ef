"""GETs of predictions that memory does not have, asked for as plainly as can be: no conditions, a canonical key.

The ladder decides as it does for everybody. Left out is what reads targets and headers that may hold anything, which
costs as much as the read from the replica; and a task for each request, which costs a third of it: those that come in
while a read is under way are read for together, and answered one right behind the other as soon as their values are
there. What the replica does not answer is computed together, too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from functools import partial

from edge.answer import Ladder
from edge.api import request_id
from edge.api.headers import answer_headers
from edge.api.predict import Predict
from edge.api.problems import send_problem
from edge.api.wire import send_response
from edge.ask import Answer, Ask
from edge.flying import Flying
from edge.foresight import Foresight
from edge.held import Held
from edge.hit import HitDoor
from edge.key_facts import KeyFacts
from edge.meaning import Meaning
from edge.serving import Serving
from edge.short_cut import ShortCycle
from edge.stats import Stats, Tier
from edge.turn import PATIENCE_S, Fetched, Turn
from precompute.errors import NearcastError
from precompute.predictor import Predictor

log = logging.getLogger(__name__)

#: Tiers whose answers have the body and the headers of the entry that they hold.
_FRESH = (Tier.REPLICA, Tier.MEMORY, Tier.LIVE)
MAX_READING = 8


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
        #: What has not been read for yet; whether that is about to begin; and how many reads are under way.
        self._turn: Turn | None = None
        self._launching = False
        self._reading, self._began_s = 0, 0.0
        self._foresight = Foresight()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, cycle: ShortCycle, meaning: Meaning | None) -> bool:
        """Sees to it that a request is answered, of which may be known what it means; False if it is not that plain."""
        meaning = meaning or self._hits.missed(cycle.target)
        predictor = self._asked(meaning) if meaning is not None else None
        if meaning is None or meaning.parsed is None or predictor is None:
            return False
        try:
            self._ladder.absent.refuse(meaning.name, predictor.servable.model.policy)
        except NearcastError as error:
            cycle.go_on(partial(self._fail, cycle, meaning, error))
            return True
        turn = self._turn or self._begin_turn()
        if not self._launching and (
            not self._reading or (self._reading < MAX_READING and time.perf_counter() - self._began_s > PATIENCE_S)
        ):
            self._launch(turn)
        ask = Ask(predictor, meaning.parsed, turn.deadline, name=meaning.name)
        turn.requests.append(Fetched(cycle, meaning, ask, turn.began_s))
        return True

    def _asked(self, meaning: Meaning) -> Predictor | None:
        """What would compute it, once it is known what is asked; None if that takes a thorough look."""
        if meaning.served.generation != self._serving.generation:
            # What a packet meant before it does no more: not all requests of the model have the same answer now.
            return None
        try:
            predictor = self._serving.predictor(meaning.served.model)
            if meaning.parsed is None:
                key = predictor.servable.model.parse_key(meaning.key)
                if key.text != meaning.key:
                    # In another spelling it may mean something else; found out by those who read it thoroughly.
                    return None
                meaning.parsed = key
        except NearcastError:
            return None
        return predictor

    def _begin_turn(self) -> Turn:
        turn = self._turn = Turn(time.perf_counter(), asyncio.get_running_loop().time() + self._budget_s, [])
        return turn

    def _launch(self, turn: Turn) -> None:
        """Reads for a turn, and what joins it until that begins."""
        self._launching = True
        self._start(self._read(turn))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _launch_waiting(self) -> None:
        if self._turn is not None and not self._launching:
            self._launch(self._turn)

    async def _read(self, turn: Turn) -> None:
        await turn.complete()
        self._turn, self._launching = None, False
        self._reading, self._began_s = self._reading + 1, time.perf_counter()
        asks = [one.ask for one in turn.requests]
        foreseen = self._foreseen(asks)
        try:
            values = await self._ladder.read([ask.name for ask in asks], turn.deadline, at_once=True)
        finally:
            self._reading -= 1
        self._launch_waiting()
        is_nothing = self._foresight.learn(asks, values)
        if foreseen is not None and is_nothing:
            await self._compute(turn.requests, self._ladder.landed(foreseen))
        else:
            if foreseen is not None:
                self._stats.foreseen_in_vain += len(values) - values.count(None)
            await self._answer(turn, values)

    def _foreseen(self, asks: Sequence[Ask]) -> Flying | None:
        """What is computed while the replica is asked, because it will have nothing; and no flight has landed since."""
        if not self._foresight.expects_nothing(asks) or any(map(self._ladder.from_memory, asks)):
            return None
        try:
            return self._ladder.begin(asks, at_once=True)
        except Exception:
            log.exception("could not be begun, and is tried again once the replica has answered")
            return None

    async def _answer(self, turn: Turn, values: Sequence[bytes | None]) -> None:
        """From what was read, and what is to be computed."""
        cold: dict[tuple[Predictor, str], list[Fetched]] = {}
        warm: list[tuple[Fetched, Answer | Exception]] = []
        for one, value in zip(turn.requests, values, strict=True):
            try:
                facts = self._facts(one) if value is not None else None
                answer = self._ladder.from_replica(one.ask, value, facts)
            except Exception as error:
                warm.append((one, error))
                continue
            if answer is not None:
                warm.append((one, answer))
            else:
                cold.setdefault(self._companions(one.ask), []).append(one)
        first, *others = cold.values() if cold else ([],)
        for together in others:
            self._start(self._compute(together, self._from_live(together)))
        self._give(warm)
        if first:
            # Mostly the only ones; a task of their own would take as long as three of them.
            await self._compute(first, self._from_live(first))

    def _facts(self, one: Fetched) -> KeyFacts:
        meaning, edition = one.meaning, self._ladder.editions.of(one.ask.predictor.servable)
        facts = meaning.facts
        if facts is None or facts.edition is not edition:
            facts = meaning.facts = edition.facts(one.ask.key)
        return facts

    def _companions(self, ask: Ask) -> tuple[Predictor, str]:
        """Asks with which of these are computed together: new flights of a model, or those that join the same one."""
        return ask.predictor, ask.name if ask.key.text in self._ladder.live.under_way(ask.predictor) else ""

    def _from_live(self, together: Sequence[Fetched]) -> Coroutine[None, None, list[Answer | Exception]]:
        return self._ladder.from_live([one.ask for one in together], at_once=True)

    async def _compute(
        self, together: Sequence[Fetched], work: Coroutine[None, None, list[Answer | Exception]]
    ) -> None:
        """For requests that the replica has nothing for."""
        try:
            answers = await work
        except Exception as error:
            answers = [error] * len(together)
        self._give(list(zip(together, answers, strict=True)))

    def _give(self, answers: Sequence[tuple[Fetched, Answer | Exception]]) -> None:
        """Answers everybody. What is written to a client that sleeps wakes it, which may take as long as all the rest:
        so responses are written one right behind the other, while whoever reads the first is still awake.
        """
        responses: list[tuple[Fetched, bytes]] = []
        for one, answer in answers:
            try:
                if isinstance(answer, NearcastError):
                    one.cycle.go_on(partial(self._fail, one.cycle, one.meaning, answer))
                elif isinstance(answer, Exception):
                    self._give_up(one, answer)
                elif answer.held is not None and answer.tier in _FRESH:
                    responses.append((one, self._fresh(one, answer, answer.held)))
                else:
                    one.cycle.go_on(partial(self._send, one, answer))
            except Exception as error:
                self._give_up(one, error)
        for one, response in responses:
            try:
                one.cycle.write_soon(response)
            except Exception as error:
                self._give_up(one, error)

    async def _send(self, one: Fetched, answer: Answer) -> None:
        headers = answer_headers(answer, self._counted(one, answer))
        await send_response(one.cycle.send, 200, headers, answer.body)

    def _fresh(self, one: Fetched, answer: Answer, held: Held) -> bytes:
        took_s, meaning, edition = self._counted(one, answer), one.meaning, held.edition
        facts = meaning.facts
        if facts is None and meaning.is_kept and answer.memory == "stale":
            # Asked for again after it was out of date: so it may well be the next time.
            facts = meaning.facts = edition.facts(one.ask.key)
        if facts is not None and facts.edition is edition:
            lines = facts.tag_lines()
        else:
            lines = edition.for_caches.tag_lines(one.ask.key.text)
        return self._hits.response(answer, held, lines, took_s)

    def _counted(self, one: Fetched, answer: Answer) -> float:
        served = one.meaning.served
        one.meaning.count()
        took_s = time.perf_counter() - one.began_s
        self._stats.answered(served.model, one.ask.predictor.servable.variant, answer.tier, took_s)
        return took_s

    async def _fail(self, cycle: ShortCycle, meaning: Meaning, error: NearcastError) -> None:
        request_id.begin(cycle.fields)
        self._predict.failed(meaning.served.model, error)
        await send_problem(cycle.send, error)

    def _give_up(self, one: Fetched, error: Exception) -> None:
        """One request has gone wrong, which must not take along the others that came with it."""
        log.error("GET %s failed", one.cycle.path, exc_info=error)
        self._stats.failed(one.meaning.served.model, 500)
        one.cycle.give_up()
