"""What edges have counted, in Redis, so that it outlives them: two streams for each process of each node.

Every five seconds of the wall clock a process appends what has come since the last time, and every minute what has come
in that minute. The first part of an entry's id is when its bucket began, the second how long after that it was written:
a process that ends within a bucket and the one that takes its place write two entries about it, in order. What was not
written is not there: a gap, not a zero.

A stream is bounded by its length and by an expiry, so a node that is gone is forgotten after a day. No I/O here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from precompute.keys import STATS_SOURCES, stats_key
from precompute.snapshot import Snapshot
from precompute.store import checked
from precompute.updates import Command, Reply

#: How long a stream is kept that nobody writes to.
KEEP_S = 86_400
#: A process that has not written for so long is gone, or cannot reach the primary.
SILENT_MS = 16_000
#: Some kilobytes are usual; a thousand models with all tiers make a quarter of this.
MAX_BYTES = 1 << 20
_FIELD = b"s"


@dataclass(frozen=True, slots=True)
class Width:
    """How long a bucket is, and how many of them are kept."""

    name: str
    ms: int
    kept: int

    def begin_ms(self, at_ms: int) -> int:
        """When the bucket began that a moment lies in."""
        return at_ms - at_ms % self.ms


FINE = Width("5s", 5_000, 720)
COARSE = Width("1m", 60_000, 1_440)


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """One process of an edge node."""

    node: str
    process: int

    def key(self, width: Width) -> str:
        """Its stream."""
        return stats_key(width.name, self.node, self.process)


@dataclass(frozen=True, slots=True)
class Entry:
    """What one process has counted in one bucket, or in a part of it."""

    bucket_ms: int
    counted: Snapshot


def write_commands(source: Source, width: Width, bucket_ms: int, now_ms: int, counted: Snapshot) -> list[Command]:
    """Appends an entry; nothing if it is too large."""
    data = counted.encode()
    if len(data) > MAX_BYTES:
        return []
    key = source.key(width)
    return [
        ("XADD", key, "MAXLEN", "~", width.kept, f"{bucket_ms}-{now_ms - bucket_ms}", _FIELD, data),
        ("EXPIRE", key, KEEP_S),
        ("ZADD", STATS_SOURCES, now_ms, f"{source.process} {source.node}"),
        ("ZREMRANGEBYSCORE", STATS_SOURCES, "-inf", now_ms - KEEP_S * 1000),
    ]


#: Asks who has written, and when last.
SOURCES: Command = ("ZRANGE", STATS_SOURCES, 0, -1, "WITHSCORES")


def sources(reply: Reply) -> dict[Source, int]:
    """When each process wrote last, in ms since 1970, from the reply to `SOURCES`."""
    flat = checked(reply)
    found = {}
    for member, score in zip(flat[::2], flat[1::2], strict=True):
        process, _, node = member.decode().partition(" ")
        found[Source(node, int(process))] = int(float(score))
    return found


def read_command(source: Source, width: Width, after: str, count: int) -> Command:
    """Asks for what a process has written after an id."""
    return ("XRANGE", source.key(width), f"({after}", "+", "COUNT", count)


def entries(records: Iterable[Sequence[Reply]]) -> Iterator[tuple[str, Entry | None]]:
    """Ids and what was written under them; None where it is of another version, or damaged."""
    for name, fields in records:
        values = dict(zip(fields[::2], fields[1::2], strict=True))
        counted = Snapshot.decode(values.get(_FIELD, b""))
        text = name.decode()
        yield text, None if counted is None else Entry(int(text.partition("-")[0]), counted)
