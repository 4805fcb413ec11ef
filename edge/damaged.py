"""Sets entries that could not be read aside in the primary, with their bytes; bounded, dropped rather than waited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edge.link import Link
from precompute.dead_letters import Letter, add_commands
from precompute.errors import NearcastError
from precompute.updates import Reply

#: Letters on their way to the primary at one time.
_MOST_WAITING = 16
#: Names remembered, so that an entry which is asked for often is set aside once.
_REMEMBERED = 1000


class Damaged:
    """Hands what the ladder could not read to the primary, for `nearcast dead`."""

    def __init__(self, primary: Link, now_ms: Callable[[], int]) -> None:
        self._primary = primary
        self._now_ms = now_ms
        self._known: set[tuple[str, int]] = set()
        self._waiting = 0
        self.set_aside = 0
        self.dropped = 0

    def offer(self, name: str, value: bytes, why: str) -> None:
        """An entry's key and bytes, and what is wrong with them; again and again is the same as once."""
        mark = (name, hash(value))
        if mark in self._known:
            return
        if self._waiting >= _MOST_WAITING:
            self.dropped += 1
            return
        try:
            sent = self._primary.run(add_commands(Letter("entries", name, "", why, self._now_ms(), (value,))))
        except NearcastError:
            self.dropped += 1
            return
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known.add(mark)
        self._waiting += 1
        sent.add_done_callback(lambda done: self._settled(mark, done))

    def _settled(self, mark: tuple[str, int], done: asyncio.Future[list[Reply]]) -> None:
        self._waiting -= 1
        if done.cancelled() or done.exception() is not None or any(isinstance(r, Exception) for r in done.result()):
            self._known.discard(mark)
            self.dropped += 1
        else:
            self.set_aside += 1
