"""Fetches the hottest keys into memory before an edge says that it is ready."""

from __future__ import annotations

from collections.abc import Sequence

from edge.held import Held
from edge.memory import Memory
from edge.replica import SLICE, Replica
from precompute.entry import decode, identity
from precompute.errors import EntryCorrupt, PermanentError
from precompute.freshness import Freshness, Verdict
from precompute.keys import entry_key, hot_key
from precompute.models import Key
from precompute.predictor import Servable
from precompute.store import checked

#: Beyond this share, a less hot key would only push out a hotter one.
_FULL = 0.95


async def warm(
    memory: Memory[Held],
    replica: Replica,
    freshness: Freshness,
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
        (names,) = await replica.run([("ZREVRANGE", hot_key(servable.model.name), 0, keys - 1)])
        wanted = [key for name in checked(names) if (key := _parsed(servable, name)) is not None]
        for at in range(0, len(wanted), SLICE):
            part = wanted[at : at + SLICE]
            stored = await replica.get([_name(servable, key) for key in part])
            for key, value in zip(part, stored, strict=True):
                if value is not None and (held := _held(servable, key, value, freshness)) is not None:
                    fresh = held.verdict(freshness) is Verdict.FRESH and now_ms < held.fresh_until_ms
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


def _held(servable: Servable, key: Key, value: bytes, freshness: Freshness) -> Held | None:
    try:
        entry = decode(value, identity(servable.model.name, servable.version, servable.variant, key.text))
    except EntryCorrupt:
        return None
    return Held(servable, key, entry, freshness)
