"""Asks that are being computed, all of one model and with the same time left."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from edge.ask import Ask
from edge.deadlines import Deadlines
from edge.held import Held
from edge.live import Live
from precompute.freshness import Freshness, Verdict
from precompute.models import Policy


class Flying:
    """Flights that are begun, or joined, as soon as this is made.

    Attributes:
        whys: of each ask, why memory did not answer it.
    """

    __slots__ = ("_flights", "_joined", "_live", "asks", "whys")

    def __init__(self, live: Live[Held], asks: Sequence[Ask], whys: Sequence[str], *, at_once: bool = False) -> None:
        """At least one ask; `at_once` as for `Live.predict`."""
        self.asks, self.whys = asks, whys
        self._live = live
        under_way = live.under_way(asks[0].predictor)
        self._joined = [i for i, ask in enumerate(asks) if ask.key.text in under_way]
        self._flights = live.predict(asks[0].predictor, [ask.key for ask in asks], at_once=at_once)

    @property
    def policy(self) -> Policy:
        """Of the model."""
        return self.asks[0].predictor.servable.model.policy

    async def landed(self, deadlines: Deadlines, freshness: Freshness) -> list[Held | Exception]:
        """Results that know every change we knew of when we were asked; TimeoutError for all at their deadline.

        A flight that was under way by then may have read its rows before such a change; the next one cannot have.
        """
        landed = await _within(deadlines, self._flights, self.asks)
        if old := [i for i in self._joined if _has_changed(landed[i], freshness)]:
            asks = [self.asks[i] for i in old]
            flights = self._live.predict(asks[0].predictor, [ask.key for ask in asks])
            for i, held in zip(old, await _within(deadlines, flights, asks), strict=True):
                landed[i] = held
        return landed


async def _within(
    deadlines: Deadlines, flights: asyncio.Future[list[Held | Exception]], asks: Sequence[Ask]
) -> list[Held | Exception]:
    try:
        return await deadlines.within(flights, asks[0].deadline)
    except TimeoutError as error:
        return [error] * len(asks)


def _has_changed(outcome: Held | Exception, freshness: Freshness) -> bool:
    return isinstance(outcome, Held) and outcome.verdict(freshness) is Verdict.CHANGED
