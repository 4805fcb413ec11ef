"""Live results go to the primary, so that every edge profits; bounded, and dropped rather than waited for.

A late write does no harm: whether an entry is fresh is decided by who reads it.
"""

from __future__ import annotations

import asyncio

from edge.link import Link
from precompute.errors import NearcastError
from precompute.predictions import write_commands
from precompute.predictor import Batch, Servable
from precompute.updates import Reply


class WriteBack:
    """Sends entries to the primary while there is room."""

    def __init__(self, primary: Link, *, max_waiting: int) -> None:
        self._primary = primary
        self._max_waiting = max_waiting
        self.waiting = 0
        self.written = 0
        self.dropped = 0
        self.refused = 0

    def offer(self, servable: Servable, batch: Batch) -> None:
        """Takes a batch if there is room and a connection; counts it as dropped if not."""
        commands = write_commands(servable, batch)
        if not commands:
            return
        if self.waiting + len(commands) > self._max_waiting:
            self.dropped += len(commands)
            return
        try:
            sent = self._primary.run(commands)
        except NearcastError:
            self.dropped += len(commands)
            return
        self.waiting += len(commands)
        sent.add_done_callback(lambda done: self._settled(len(commands), done))

    def _settled(self, count: int, done: asyncio.Future[list[Reply]]) -> None:
        self.waiting -= count
        if done.cancelled() or done.exception() is not None:
            self.dropped += count
            return
        accepted = done.result().count(b"OK")
        self.written += accepted
        self.refused += count - accepted
