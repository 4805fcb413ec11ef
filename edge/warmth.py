"""Fetches the hottest keys into memory: before an edge says that it is ready, and when another version is served."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from edge.edition import Edition, Editions
from edge.held import Held
from edge.memory import Memory
from edge.replica import Replica
from precompute.errors import EntryCorrupt, NearcastError, PermanentError
from precompute.freshness import Verdict
from precompute.keys import entry_key, hot_key
from precompute.models import Key
from precompute.predictor import Servable
from precompute.store import checked

log = logging.getLogger(__name__)

#: Beyond this share, a less hot key would only push out a hotter one.
_FULL = 0.95
#: Keys of one turn of the event loop; requests are being answered meanwhile, and 64 take about half a millisecond.
SLICE = 64


class Warmth:
    """Warms one edge's memory; while it serves, in the background."""

    def __init__(
        self, memory: Memory[Held], replica: Replica, editions: Editions, keys: int, now_ms: Callable[[], int]
    ) -> None:
        self._memory = memory
        self._replica = replica
        self._editions = editions
        self._keys = keys
        self._now_ms = now_ms
        self._tasks: set[asyncio.Task[None]] = set()

    async def load(self, servables: Sequence[Servable]) -> int:
        """As `warm`, with what this edge has."""
        if not self._keys:
            return 0
        return await warm(self._memory, self._replica, self._editions, servables, self._keys, self._now_ms())

    def begin(self, servable: Servable) -> None:
        """Loads one version's hot keys without anybody waiting for it."""
        task = asyncio.create_task(self._loaded(servable))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Leaves off."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _loaded(self, servable: Servable) -> None:
        try:
            loaded = await self.load([servable])
        except NearcastError as error:
            log.warning("cannot warm %s version %d: %s", servable.model.name, servable.version, error)
        else:
            log.info("%s version %d: %d entries in memory", servable.model.name, servable.version, loaded)


async def warm(
    memory: Memory[Held],
    replica: Replica,
    editions: Editions,
    servables: Sequence[Servable],
    keys: int,
    now_ms: int,
) -> int:
    """Loads fresh entries of the `keys` hottest keys of each servable; returns how many.

    Raises:
        StoreUnavailable: the replica cannot be asked.
    """
    loaded = 0
    for servable in servables:
        edition = editions.of(servable)
        (names,) = await replica.run([("ZREVRANGE", hot_key(servable.model.name), 0, keys - 1)])
        for at in range(0, len(checked(names)), SLICE):
            part = [key for name in names[at : at + SLICE] if (key := _parsed(servable, name)) is not None]
            stored = await replica.get([_name(servable, key) for key in part])
            for key, value in zip(part, stored, strict=True):
                if value is not None and (held := _held(edition, key, value)) is not None:
                    fresh = held.verdict(editions.freshness) is Verdict.FRESH and now_ms < held.fresh_until_ms
                    if fresh and memory.bytes < _FULL * memory.max_bytes:
                        memory.put(_name(servable, key), held)
                        loaded += 1
    return loaded


def _parsed(servable: Servable, name: bytes) -> Key | None:
    try:
        return servable.model.parse_key(name.decode())
    except (PermanentError, UnicodeDecodeError):
        return None  # Counted under a declaration that has changed since.


def _name(servable: Servable, key: Key) -> str:
    return entry_key(servable.model.name, servable.version, key.text)


def _held(edition: Edition, key: Key, value: bytes) -> Held | None:
    try:
        return edition.read(key, value)
    except EntryCorrupt:
        return None
