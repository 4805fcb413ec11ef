"""What a node has measured of its variants, kept in Redis so that it outlives a restart.

Every process of a node measures for itself and writes for all of them: whoever wrote last is read by those that start.
One key a node, at most `profiles.MAX_BYTES`, forgotten after a day. Written beside telemetry, dropped rather than
waited for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from edge.background import Background
from edge.link import Link
from edge.profiles import Profiles
from edge.replica import Replica
from precompute.errors import NearcastError
from precompute.keys import profiles_key
from precompute.store import checked

log = logging.getLogger(__name__)

KEEP_S = 86_400
_EVERY_S = 15.0


class Measured:
    """Reads profiles once, and writes them on a timer.

    Attributes:
        dropped: writes that the primary has not taken.
    """

    def __init__(
        self, profiles: Profiles, node: str, replica: Replica, primary: Link, clock_s: Callable[[], float]
    ) -> None:
        self._profiles = profiles
        self._key = profiles_key(node)
        self._replica = replica
        self._primary = primary
        self._clock_s = clock_s
        self._written = b""
        self._background = Background()
        self.dropped = 0

    async def load(self) -> None:
        """Takes in what was measured before; nothing if it cannot be read."""
        try:
            (found,) = await self._replica.get([self._key])
        except NearcastError as error:
            log.warning("latencies measured before are not known: %s", error)
            return
        if found is not None:
            restored = self._profiles.restore(found, self._clock_s())
            log.info("latencies of %d variant(s) are known from before", restored)

    def start(self) -> None:
        """Writes until `stop`."""
        self._background.begin(self._run())

    async def stop(self) -> None:
        """Writes what was measured last."""
        if await self._background.end():
            await self.write()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.write()

    async def write(self) -> None:
        """Hands over what is known, if it is not what was handed over last."""
        data = self._profiles.encode()
        if data == self._written or not len(self._profiles):
            return
        try:
            (reply,) = await self._primary.run([("SET", self._key, data, "EX", KEEP_S)])
            checked(reply)
        except NearcastError as error:
            self.dropped += 1
            log.debug("latencies were not written: %s", error)
        else:
            self._written = data
