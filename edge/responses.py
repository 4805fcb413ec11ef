"""How those who were read or computed for together are answered: one right behind the other, each counted."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial

from edge.api import request_id
from edge.api.headers import answer_headers
from edge.api.predict import Predict
from edge.api.problems import send_problem
from edge.api.wire import send_response
from edge.ask import Answer
from edge.held import Held
from edge.hit import HitDoor
from edge.meaning import Meaning
from edge.short_cut import ShortCycle
from edge.stats import Stats, Tier
from edge.turn import Fetched
from precompute.errors import NearcastError

log = logging.getLogger(__name__)

#: Tiers whose answers have the body and the headers of the entry that they hold.
_FRESH = (Tier.REPLICA, Tier.MEMORY, Tier.LIVE)


class Responses:
    """Those to requests that took the short cut, written as soon as it is known what they say."""

    def __init__(self, hits: HitDoor, stats: Stats, predict: Predict) -> None:
        self._hits = hits
        self._stats = stats
        self._predict = predict

    def give(self, answers: Sequence[tuple[Fetched, Answer | Exception]]) -> None:
        """Answers everybody, each with an outcome of their own.

        What is written to a client that sleeps wakes it, which may take as long as all the rest: so responses are
        written one right behind the other, while whoever reads the first is still awake.
        """
        responses: list[tuple[Fetched, bytes]] = []
        for one, answer in answers:
            try:
                if isinstance(answer, NearcastError):
                    one.cycle.go_on(partial(self.fail, one.cycle, one.meaning, answer))
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

    async def fail(self, cycle: ShortCycle, meaning: Meaning, error: NearcastError) -> None:
        """Answers with what has gone wrong."""
        request_id.begin(cycle.fields)
        self._predict.failed(meaning.served.model, error)
        await send_problem(cycle.send, error)

    def _give_up(self, one: Fetched, error: Exception) -> None:
        """One request has gone wrong, which must not take along the others that came with it."""
        log.error("GET %s failed", one.cycle.path, exc_info=error)
        self._stats.failed(one.meaning.served.model, 500)
        one.cycle.give_up()
