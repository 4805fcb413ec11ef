"""GETs of predictions that memory does not have, asked for as plainly as can be: no conditions, a canonical key.

The ladder decides as it does for everybody. Left out is what reads targets and headers that may hold anything, which
costs as much as the read from the replica; and a task for each request, which costs a third of it: those that come in
while a read is under way are read for together, without a task even for the read, and answered one right behind the
other as soon as their values are there. What the replica does not answer is computed together, too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from functools import partial

from edge.answer import Ladder
from edge.api.predict import Predict
from edge.ask import Answer, Ask
from edge.flying import Flying
from edge.foresight import Foresight
from edge.hit import HitDoor
from edge.meaning import Meaning
from edge.responses import Responses
from edge.serving import Serving
from edge.short_cut import ShortCycle
from edge.stats import Stats
from edge.turn import PATIENCE_S, Fetched, Turn
from precompute.errors import NearcastError
from precompute.predictor import Predictor

log = logging.getLogger(__name__)

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
        self._responses = Responses(hits, stats, predict)
        self._budget_s = budget_ms / 1000
        self._loop = asyncio.get_running_loop()
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
            cycle.go_on(partial(self._responses.fail, cycle, meaning, error))
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
        turn = self._turn = Turn(time.perf_counter(), time.monotonic() + self._budget_s)
        return turn

    def _launch(self, turn: Turn) -> None:
        """Reads for a turn, and what joins it until that begins."""
        self._launching = True
        turn.close_soon()
        self._loop.call_soon(self._look, turn)

    def _launch_waiting(self) -> None:
        if self._turn is not None and not self._launching:
            self._launch(self._turn)

    def _look(self, turn: Turn) -> None:
        """Lets requests join that clients have sent already."""
        if not turn.is_complete():
            self._loop.call_soon(self._look, turn)
            return
        self._turn, self._launching = None, False
        self._reading, self._began_s = self._reading + 1, time.perf_counter()
        asks = [one.ask for one in turn.requests]
        then = partial(self._have_read, turn, asks, self._foreseen(asks))
        self._ladder.reads.tell([ask.name for ask in asks], turn.deadline, then)

    def _have_read(
        self, turn: Turn, asks: Sequence[Ask], foreseen: Flying | None, values: Sequence[bytes | None]
    ) -> None:
        self._reading -= 1
        self._launch_waiting()
        is_nothing = self._foresight.learn(asks, values)
        if foreseen is not None and is_nothing:
            self._start(self._compute(turn.requests, self._ladder.landed(foreseen)))
        else:
            if foreseen is not None:
                self._stats.foreseen_in_vain += len(values) - values.count(None)
            self._answer(turn, values)

    def _foreseen(self, asks: Sequence[Ask]) -> Flying | None:
        """What is computed while the replica is asked, because it will have nothing; and no flight has landed since."""
        if not self._foresight.expects_nothing(asks) or any(map(self._ladder.from_memory, asks)):
            return None
        try:
            return self._ladder.begin(asks, at_once=True)
        except Exception:
            log.exception("could not be begun, and is tried again once the replica has answered")
            return None

    def _answer(self, turn: Turn, values: Sequence[bytes | None]) -> None:
        """From what was read, and what is to be computed."""
        cold: dict[tuple[Predictor, str], list[Fetched]] = {}
        warm: list[tuple[Fetched, Answer | Exception]] = []
        for one, value in zip(turn.requests, values, strict=True):
            try:
                facts = one.facts(self._ladder.editions) if value is not None else None
                answer = self._ladder.from_replica(one.ask, value, facts)
            except Exception as error:
                warm.append((one, error))
                continue
            if answer is not None:
                warm.append((one, answer))
            else:
                cold.setdefault(self._companions(one.ask), []).append(one)
        for together in cold.values():
            self._take_off(together)
        self._responses.give(warm)

    def _companions(self, ask: Ask) -> tuple[Predictor, str]:
        """Asks with which of these are computed together: new flights of a model, or those that join the same one."""
        return ask.predictor, ask.name if ask.key.text in self._ladder.live.under_way(ask.predictor) else ""

    def _take_off(self, together: Sequence[Fetched]) -> None:
        """For requests that the replica has nothing for."""
        try:
            landing = self._ladder.from_live([one.ask for one in together], at_once=True)
        except Exception as error:
            self._responses.give([(one, error) for one in together])
            return
        self._start(self._compute(together, landing))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _compute(
        self, together: Sequence[Fetched], work: Coroutine[None, None, list[Answer | Exception]]
    ) -> None:
        try:
            answers = await work
        except Exception as error:
            answers = [error] * len(together)
        self._responses.give(list(zip(together, answers, strict=True)))
