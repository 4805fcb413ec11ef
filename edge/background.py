"""Work that goes on beside answering until an edge stops."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


class Background:
    """One piece of it."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def begin(self, work: Coroutine[None, None, None]) -> None:
        """Goes on with this until `end`."""
        self._task = asyncio.create_task(work)

    async def end(self) -> bool:
        """Cancels it and waits until that has come through; whether it had begun."""
        if self._task is None:
            return False
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        return True
