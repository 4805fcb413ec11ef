"""The update log: one record per change of a feature row, in a Redis stream for each view.

Stream ids are the only clock in the system. They are handled as one integer, `ms << 20 | seq`, because comparing
two of them is what every cache hit does. A sequence beyond 20 bits (a million changes in one millisecond, or a
clock set back for long) is rounded so that an as-of looks older and a change looks newer, which is the safe side.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from precompute.errors import StoreUnavailable
from precompute.keys import log_key

SEQUENCE_BITS = 20
_SEQUENCE_MASK = (1 << SEQUENCE_BITS) - 1

_REPLICATION_ID = re.compile(rb"master_replid:([0-9a-f]{8})")
#: A replica that has begun empty and waits for its primary stands at offset 0 or 1.
_NEVER_FILLED = re.compile(rb"slave_repl_offset:[01]\r?$", re.MULTILINE)

#: Where `XINFO STREAM` tells of the last record.
_LAST = b"last-generated-id"
#: The field of a log record that names the entity.
ENTITY_FIELD = b"e"
#: The field of a log record that says that the row was deleted.
GONE_FIELD = b"d"

Command = tuple[str | bytes | int | float, ...]
#: Replies as the protocol has them: bytes, integers, lists, None, or an exception for an error reply.
Reply = Any
#: A record as `XREAD` returns it: its id, and its field names and values in turn.
Record = tuple[bytes, Sequence[bytes] | None]


def as_of_id(stream_id: bytes | str) -> int:
    """A log position as an integer, rounded down."""
    ms, seq = _split(stream_id)
    return ms << SEQUENCE_BITS | min(seq, _SEQUENCE_MASK)


def change_id(stream_id: bytes | str) -> int:
    """The id of a change as an integer, rounded up."""
    ms, seq = _split(stream_id)
    return ms + 1 << SEQUENCE_BITS if seq > _SEQUENCE_MASK else ms << SEQUENCE_BITS | seq


def _split(stream_id: bytes | str) -> tuple[int, int]:
    if isinstance(stream_id, str):
        stream_id = stream_id.encode()
    ms, _, seq = stream_id.partition(b"-")
    return int(ms), int(seq or 0)


def stream_id(update_id: int) -> str:
    """An integer id as Redis writes it."""
    return f"{update_id >> SEQUENCE_BITS}-{update_id & _SEQUENCE_MASK}"


def milliseconds(update_id: int) -> int:
    """The wall clock of the primary, in ms since 1970, when it gave out an id."""
    return update_id >> SEQUENCE_BITS


def timestamp(ms: int) -> str:
    """Milliseconds since 1970 as RFC 3339 text."""
    return f"{_second(ms // 1000)}.{ms % 1000:03}Z"


@lru_cache(maxsize=64)
def _second(s: int) -> str:
    # Every batch tells two times, most of them of the last seconds.
    return datetime.fromtimestamp(s, UTC).isoformat(timespec="seconds").removesuffix("+00:00")


@dataclass(frozen=True, slots=True)
class AsOf:
    """What a reader knew: the last id of each view's log, within one history of the primary.

    Attributes:
        epoch: 32 bits of the primary's replication id; ids of different epochs do not compare.
        ids: one update id for each view, in the order asked.
    """

    epoch: int
    ids: tuple[int, ...]


#: Asks whose history a server tells.
HISTORY: Command = ("INFO", "replication")


def as_of_commands(views: Sequence[str]) -> list[Command]:
    """What to ask *before* reading rows, on the same connection."""
    return [HISTORY, *(("XINFO", "STREAM", log_key(view)) for view in views)]


def parse_as_of(replies: Sequence[Reply]) -> AsOf:
    """Reads the replies to `as_of_commands`; a log that does not exist yet is at 0.

    Raises:
        StoreUnavailable: the server said something else.
    """
    return AsOf(parse_epoch(replies[0]), tuple([_last_id(reply) for reply in replies[1:]]))


def _last_id(reply: Reply) -> int:
    """What `LogState` says is `last`, without looking at the rest: each batch asks each of its logs."""
    if isinstance(reply, list) and _LAST in reply:
        return as_of_id(reply[reply.index(_LAST) + 1])
    return LogState.parse(reply).last


def parse_epoch(info: Reply) -> int:
    """32 bits of `master_replid` from the text of `INFO replication`.

    Raises:
        StoreUnavailable: the text has none, or is a replica's that holds nothing yet: its lack of a row says nothing.
    """
    found = _REPLICATION_ID.search(info) if isinstance(info, bytes) else None
    if found is None:
        raise StoreUnavailable(f"cannot read the replication id: {info!r:.100}")
    if b"master_link_status:down" in info and _NEVER_FILLED.search(info):
        raise StoreUnavailable("the replica has not been filled by its primary yet")
    return int(found[1], 16)


@dataclass(frozen=True, slots=True)
class LogState:
    """Where a log begins and ends; `first` is 0 while the log holds no record.

    An as-of below `floor` may have missed a record that was trimmed.
    """

    first: int
    last: int
    length: int
    floor: int
    #: Records that the log has ever held; servers before Redis 7 do not tell, and it may always have been one more.
    added: int

    @classmethod
    def parse(cls, reply: Reply) -> LogState:
        """Reads a reply to `XINFO STREAM`."""
        if isinstance(reply, Exception):
            if "no such key" in str(reply):
                return cls(0, 0, 0, 0, 0)
            raise StoreUnavailable(f"cannot read the update log: {reply}")
        fields: dict[bytes, Any] = dict(zip(reply[::2], reply[1::2], strict=True))
        first, last, length = fields[b"first-entry"], fields[_LAST], fields[b"length"]
        return cls(
            first=as_of_id(first[0]) if first else 0,
            last=as_of_id(last),
            length=length,
            floor=change_id(first[0] if first else last),
            added=fields.get(b"entries-added", length + 1),
        )

    def has_lost(self, position: int) -> bool:
        """Whether records after a reader's position may be gone already.

        Position 0 is that of a reader who found the log empty, and wonders whether its first record was the first.
        """
        if self.last <= position:
            return False
        if not self.length:
            return True
        return self.first > position and (position > 0 or self.added > self.length)

    def ends_before(self, position: int) -> bool:
        """Whether the log ends before a reader's position: it is not the log that was read, or an earlier state of it.

        Beyond 20 bits of sequence, the same id rounded up as a change is one more than rounded down as an end.
        """
        is_rounding = position == self.last + 1 and not position & _SEQUENCE_MASK
        return self.last < position and not is_rounding


def read_command(positions: dict[str, str], count: int, block_ms: int | None) -> Command:
    """`XREAD` of what follows each view's position."""
    block: tuple[str | int, ...] = () if block_ms is None else ("BLOCK", block_ms)
    keys = [log_key(view) for view in positions]
    return ("XREAD", "COUNT", count, *block, "STREAMS", *keys, *positions.values())


def group_read_command(group: str, consumer: str, views: Sequence[str], count: int, block_ms: int | None) -> Command:
    """`XREADGROUP` of what nobody of the group has been given yet."""
    block: tuple[str | int, ...] = () if block_ms is None else ("BLOCK", block_ms)
    keys = [log_key(view) for view in views]
    return ("XREADGROUP", "GROUP", group, consumer, "COUNT", count, *block, "STREAMS", *keys, *(">" for _ in keys))
