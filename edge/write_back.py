"""Live results go to the primary, so that every edge profits; bounded, and dropped rather than waited for.

A late write does no harm: whether an entry is fresh is decided by who reads it.
"""

from __future__ import annotations

import asyncio

from edge.link import Link
from precompute.errors import NearcastError
from precompute.predictions import write_commands
from precompute.predictor import Batch, Servable
from precompute.updates import Command, Reply

#: Entries gather for so long: sending those of each batch on their own costs three processes a turn each time, this one
#: twice, and the next edge needs them no sooner.
GATHER_S = 0.02


class WriteBack:
    """Sends entries to the primary while there is room.

    Attributes:
        waiting: entries that gather or have not been acknowledged.
    """

    def __init__(self, primary: Link, *, max_waiting: int) -> None:
        self._primary = primary
        self._max_waiting = max_waiting
        self._gathered: list[Command] = []
        self.waiting = 0
        self.written = 0
        self.dropped = 0
        self.refused = 0

    def offer(self, servable: Servable, batch: Batch) -> None:
        """Takes a batch if there is room; counts it as dropped if not."""
        commands = write_commands(servable, batch)
        if self.waiting + len(commands) > self._max_waiting:
            self.dropped += len(commands)
            return
        if commands and not self._gathered:
            asyncio.get_running_loop().call_later(GATHER_S, self.send)
        self.waiting += len(commands)
        self._gathered += commands

    def send(self) -> None:
        """Sends what has gathered; it is dropped if there is no connection."""
        commands, self._gathered = self._gathered, []
        if not commands:
            return
        try:
            sent = self._primary.run(commands)
        except NearcastError:
            self.waiting -= len(commands)
            self.dropped += len(commands)
            return
        sent.add_done_callback(lambda done: self._settled(len(commands), done))

    def _settled(self, count: int, done: asyncio.Future[list[Reply]]) -> None:
        self.waiting -= count
        if done.cancelled() or done.exception() is not None:
            self.dropped += count
            return
        accepted = done.result().count(b"OK")
        self.written += accepted
        self.refused += count - accepted
