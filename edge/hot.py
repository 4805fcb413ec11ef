"""Counts which keys are asked for, and hands the counts to the primary on a timer; bounded, and dropped if need be."""

from __future__ import annotations

import asyncio
import logging

from edge.background import Background
from edge.link import Link
from precompute.errors import NearcastError
from precompute.hot_counter import HotCounter
from precompute.hotkeys import flush_commands
from precompute.store import checked

log = logging.getLogger(__name__)


class HotKeys:
    """One counter for each model."""

    def __init__(self, models: list[str], primary: Link, flush_s: float) -> None:
        self._counters = {model: HotCounter() for model in models}
        self._primary = primary
        self._flush_s = flush_s
        self._background = Background()
        #: Windows that found no primary to take them.
        self.dropped = 0

    def count(self, model: str, key: str) -> None:
        """Somebody asked for this key."""
        self._counters[model].hit(key)

    def counter(self, model: str) -> HotCounter:
        """For those who count often."""
        return self._counters[model]

    def start(self) -> None:
        """Flushes on a timer until `stop`."""
        self._background.begin(self._run())

    async def stop(self) -> None:
        """Hands over the last window."""
        if await self._background.end():
            await self.flush()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._flush_s)
            await self.flush()

    async def flush(self) -> None:
        """Hands over what has been counted since the last time."""
        for model, counter in self._counters.items():
            for _ in counter.hand_over():
                await asyncio.sleep(0)  # Others have a turn between two steps.
            window = counter.take()
            if window is None:
                continue
            try:
                for reply in await self._primary.run(flush_commands(model, window)):
                    checked(reply)
            except NearcastError as error:
                self.dropped += 1
                log.debug("hot keys of %s were dropped: %s", model, error)
