"""Fetches the hottest keys into memory: before an edge says that it is ready, and when another version is served."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence

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
#: Names of one read.
_PAGE = 1024


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
        async for keys_read in _hottest(replica, servable, keys):
            if memory.bytes >= _FULL * memory.max_bytes:
                return loaded
            stored = await replica.get([_name(servable, key) for key in keys_read])
            for key, value in zip(keys_read, stored, strict=True):
                held = None if value is None else _held(edition, key, value)
                if held is None or now_ms >= held.fresh_until_ms:
                    continue
                if held.verdict(editions.freshness) is Verdict.FRESH:
                    memory.put(_name(servable, key), held)
                    loaded += 1
    return loaded


async def _hottest(replica: Replica, servable: Servable, keys: int) -> AsyncIterator[list[Key]]:
    """Slices of the hottest keys; where the order changes meanwhile, one may come twice, or not at all."""
    for start in range(0, keys, _PAGE):
        # A page at a time: all names at once would leave holes between the entries when they are let go.
        (names,) = await replica.run([("ZREVRANGE", hot_key(servable.model.name), start, min(start + _PAGE, keys) - 1)])
        parsed = [_parsed(servable, name) for name in checked(names)]
        for at in range(0, len(parsed), SLICE):
            yield [key for key in parsed[at : at + SLICE] if key is not None]
        if len(parsed) < _PAGE:
            return


def _parsed(servable: Servable, name: bytes) -> Key | None:
    try:
        return servable.model.parse_key(name.decode())
    except (PermanentError, UnicodeDecodeError):
        return None  # Counted under a declaration that has changed since.


def _name(servable: Servable, key: Key) -> str:
    return entry_key(servable.model.name, servable.version, key.text)


def _held(edition: Edition, key: Key, value: bytes) -> Held | None:
    try:
        return edition.read(edition.facts(key), value)
    except EntryCorrupt:
        return None
