"""Update logs that live in a dict, and answer as Redis does."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from precompute.keys import HEARTBEAT, log_key
from precompute.store import CommandFailed
from precompute.updates import Command, Record, Reply, change_id, stream_id

UP = b"role:slave\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:0\r\n"


@dataclass
class Log:
    """A stream: records by id, the last id ever given out, and how many there have ever been."""

    records: list[Record] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    last: bytes = b"0-0"
    added: int = 0
    #: Redis 7 says how many there have ever been.
    tells_added: bool = True

    def add(self, record_id: bytes, entity: bytes, *more: bytes) -> None:
        """Appends one record."""
        self.add_raw(record_id, [b"e", entity, *more])

    def add_raw(self, record_id: bytes, fields: list[bytes]) -> None:
        """Appends whatever somebody may have written."""
        self.last = record_id
        self.records.append((record_id, fields))
        self.ids.append(change_id(record_id))
        self.added += 1

    def trim(self, keep_from: int) -> None:
        """Forgets records with a smaller id."""
        at = bisect_right(self.ids, keep_from - 1)
        del self.records[:at], self.ids[:at]

    def after(self, position: bytes, count: int) -> list[Record]:
        """What `XREAD` finds."""
        at = bisect_right(self.ids, change_id(position))
        return self.records[at : at + count]

    def state(self) -> Reply:
        """What `XINFO STREAM` says."""
        if self.last == b"0-0":
            return CommandFailed("ERR no such key")
        first = list(self.records[0]) if self.records else None
        added = (b"entries-added", self.added) if self.tells_added else ()
        return [b"length", len(self.records), b"last-generated-id", self.last, *added, b"first-entry", first]


class LogServer:
    """A server that holds nothing but logs, a replication id and a heartbeat."""

    def __init__(self, *views: str, epoch: int = 1) -> None:
        self.logs = {log_key(view): Log() for view in views}
        self.epoch = epoch
        self.info = UP
        self.heartbeat: bytes | None = None

    def log(self, view: str) -> Log:
        """The log of a view."""
        return self.logs[log_key(view)]

    def change(self, view: str, ms: int, entity: str, *more: bytes) -> None:
        """A record with an id of that many milliseconds."""
        self.log(view).add(stream_id(ms << 20).encode(), entity.encode(), *more)

    def reply(self, command: Command) -> Reply:
        """What Redis would say, without waiting."""
        match command:
            case ("INFO", "replication"):
                return self.info + b"master_replid:%08x%032d\r\n" % (self.epoch, 0)
            case ("XINFO", "STREAM", key):
                return self.logs[cast(str, key)].state()
            case ("GET", key) if key == HEARTBEAT:
                return self.heartbeat
            case ("XREAD", "COUNT", count, *rest):
                names = rest[rest.index("STREAMS") + 1 :]
                half = len(names) // 2
                return self._read(cast(int, count), cast("list[str]", names[:half]), cast("list[str]", names[half:]))
        raise AssertionError(f"not expected: {command}")

    def _read(self, count: int, keys: Sequence[str], positions: Sequence[str]) -> Reply:
        found = [(key, self.logs[key].after(at.encode(), count)) for key, at in zip(keys, positions, strict=True)]
        return [[key.encode(), records] for key, records in found if records] or None
