"""GETs of predictions that memory does not have, asked for as plainly as can be: no conditions, a canonical key.

The ladder decides as it does for everybody. Left out is what reads targets and headers that may hold anything, which
costs as much as the read from the replica.
"""

from __future__ import annotations

import asyncio
import time

from starlette.types import Receive, Scope, Send

from edge.answer import Ask, Ladder
from edge.api.guard import Guard
from edge.api.headers import answer_headers, cache_status
from edge.api.predict import Predict
from edge.api.problems import send_problem
from edge.api.wire import send_response
from edge.hit import HitDoor, Meaning
from edge.serving import Serving
from edge.short_cut import CONDITIONAL, RAW, TARGET
from edge.stats import Stats, Tier
from precompute.errors import NearcastError


class Fetch:
    """The application at the end of the short cut; passes on what is not that plain."""

    def __init__(
        self, hits: HitDoor, ladder: Ladder, serving: Serving, stats: Stats, predict: Predict, budget_ms: float
    ) -> None:
        self._hits = hits
        self._ladder = ladder
        self._serving = serving
        self._stats = stats
        self._predict = predict
        self._otherwise = Guard(predict)
        self._budget_s = budget_ms / 1000

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One GET."""
        meaning = None if scope[CONDITIONAL] else self._hits.meaning(scope[TARGET])
        ask = self._ask(meaning) if meaning is not None else None
        if meaning is None or ask is None:
            await self._otherwise(scope, receive, send)
            return
        began_s = time.perf_counter()
        try:
            answer = await self._ladder.answer(ask)
        except NearcastError as error:
            self._predict.failed(meaning.served.model, error)
            await send_problem(send, error)
            return
        meaning.served.count(meaning.key)
        took_s = time.perf_counter() - began_s
        self._stats.answered(meaning.served.model, answer.tier, took_s)
        if answer.held is not None and answer.tier in _FRESH:
            await scope[RAW](
                self._hits.response(meaning.served, answer.held, answer.tier, cache_status(answer), took_s)
            )
        else:
            await send_response(send, 200, answer_headers(answer, took_s), answer.body)

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


#: Tiers whose answers have the body and the headers of the entry that they hold.
_FRESH = (Tier.MEMORY, Tier.REPLICA, Tier.LIVE)
