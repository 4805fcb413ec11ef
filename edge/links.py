"""The connections of an edge to its Redis servers, each for what must not wait for the others."""

from __future__ import annotations

import asyncio

from edge.follower import BLOCK_MS
from edge.link import Link
from precompute.settings import Settings

#: A model file of 256 MB may take that long to arrive.
FILE_TIMEOUT_S = 60.0


class Links:
    """Not yet open.

    Attributes:
        reads: what answers wait for.
        logs: the follower's; its reads wait for news on purpose.
        files: whatever stood behind a large model file would have to wait for it.
        writes: to the primary.
    """

    def __init__(self, settings: Settings) -> None:
        replica, timeout_s = settings.read_url, settings.redis_timeout_s
        self.reads = Link(replica, timeout_s=timeout_s, name="nearcast-edge-read")
        self.logs = Link(replica, timeout_s=timeout_s + BLOCK_MS / 1000, name="nearcast-edge-follow")
        self.files = Link(replica, timeout_s=max(timeout_s, FILE_TIMEOUT_S), name="nearcast-edge-load")
        self.writes = Link(settings.primary_url, timeout_s=timeout_s, name="nearcast-edge-write")
        self._opening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connects.

        Raises:
            StoreUnavailable: the replica cannot be reached. The primary may be away: it is connected to eventually.
        """
        for link in (self.reads, self.logs, self.files):
            await link.open()
        self._opening = asyncio.create_task(self.writes.open_eventually())

    async def close(self) -> None:
        """Lets go of them, opened or not."""
        if self._opening is not None:
            self._opening.cancel()
        for link in (self.reads, self.logs, self.files, self.writes):
            await link.close()
