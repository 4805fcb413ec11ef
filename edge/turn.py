"""Requests that came at about the same time, and are read for together."""

from __future__ import annotations

import time

import msgspec

from edge.ask import Ask
from edge.edition import Editions
from edge.key_facts import KeyFacts
from edge.meaning import Meaning
from edge.short_cut import ShortCycle

#: A reply brings those that wait for the next read together, and comes before any that is asked for later: reading
#: once more meanwhile would be work without a gain. Unless it takes so long that the server is not near.
PATIENCE_S = 0.001


class Fetched(msgspec.Struct, frozen=True, eq=False):
    """A request on its way."""

    cycle: ShortCycle
    meaning: Meaning
    ask: Ask
    began_s: float

    def facts(self, editions: Editions) -> KeyFacts:
        """What all entries of its key have in common; remembered with its meaning."""
        meaning, edition = self.meaning, editions.of(self.ask.predictor.servable)
        facts = meaning.facts
        if facts is None or facts.edition is not edition:
            facts = meaning.facts = edition.facts(self.ask.key)
        return facts


class Turn:
    """Those that came at about the same time, and have the same time left.

    Attributes:
        deadline: by the monotonic clock, which is the event loop's.
        requests: in order.
    """

    __slots__ = ("_seen", "_until_s", "began_s", "deadline", "requests")

    def __init__(self, began_s: float, deadline: float) -> None:
        self.began_s, self.deadline = began_s, deadline
        self.requests: list[Fetched] = []
        self._seen = 0
        self._until_s = 0.0

    def close_soon(self) -> None:
        """From now on it is asked after each turn of the event loop whether it is complete."""
        self._until_s = time.perf_counter() + PATIENCE_S

    def is_complete(self) -> bool:
        """Whether the last look at all connections has brought no more of them.

        A read, and a run of a model, costs as much as ten of the requests that share it. Clients that have just been
        answered together send their next requests within moments of one another; read for as they come, they would
        fall apart into ever smaller groups.
        """
        seen, self._seen = self._seen, len(self.requests)
        return seen == self._seen or time.perf_counter() >= self._until_s
