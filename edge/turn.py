"""Requests that came at about the same time, and are read for together."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

import msgspec

from edge.ask import Ask
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


class Turn(NamedTuple):
    """Those that came at about the same time, and have the same time left."""

    began_s: float
    deadline: float
    requests: list[Fetched]

    async def complete(self) -> None:
        """Lets requests join that clients have sent already: until a look at all connections brings no more of them.

        A read, and a run of a model, costs as much as ten of the requests that share it. Clients that have just been
        answered together send their next requests within moments of one another; read for as they come, they would
        fall apart into ever smaller groups.
        """
        until_s, before = time.perf_counter() + PATIENCE_S, 0
        while before < len(self.requests) and time.perf_counter() < until_s:
            before = len(self.requests)
            await asyncio.sleep(0)
