"""Reads all update logs of the primary as one of a group of readers, each record once, and none lost with a reader.

- Each record goes to one reader of the group, and stays *pending* there until it is acknowledged.
- A reader says that it is alive by a key that expires. What is pending at one that is not is claimed by another; two
  that try at once cannot both get it, since a claimed record counts as delivered just now.
- A log that is gone, and its group with it, is joined again: from where we were if it is the same log, from its
  beginning if it is a new one. The very first reader of a log begins at its end: what is missing by then is the
  scheduler's to find.

The server's own notion of an idle reader will not do: before Redis 7.2, reading nothing leaves it unchanged.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from secrets import token_hex

from precompute.dead_letters import Letter
from precompute.keys import log_key, refresher_key
from precompute.store import CommandFailed, Store, checked
from precompute.updates import ENTITY_FIELD, Command, LogState, Reply, as_of_id, group_read_command, stream_id

GROUP = "refreshers"
#: Records of one log in one read; decoding them takes about a millisecond.
READ_RECORDS = 1000
#: Who has not said for so long that it is alive is not. Said every second; a claim follows within a second.
ALIVE_MS = 3000
#: What a dead reader was given is older than this; what another has claimed meanwhile is not.
_CLAIM_IDLE_MS = 1000
#: A reader that has been away for so long without owing anything is forgotten.
_FORGET_MS = 60_000


@dataclass(slots=True)
class Delivery:
    """Records of one log that we were given.

    Attributes:
        records: their ids, to be acknowledged.
        changes: the changed (view, entity) pairs.
        unreadable: records that are not ours to read, as they came.
    """

    view: str
    records: list[bytes]
    changes: list[tuple[str, str]] = field(default_factory=list)
    unreadable: list[Letter] = field(default_factory=list)


class ChangeReader:
    """One reader of the logs of some views."""

    def __init__(self, store: Store, views: Sequence[str], name: str | None = None) -> None:
        self.name = name or f"{socket.gethostname()}-{os.getpid()}-{token_hex(3)}"
        self._store = store
        self._views = {log_key(view).encode(): view for view in views}
        #: The last record of each log that we know of.
        self._positions: dict[str, int] = {}

    def join(self) -> None:
        """Says that we are alive, and makes the groups that are not there.

        Raises:
            StoreUnavailable: Redis is away.
        """
        self.show_alive()
        replies = self._store.run([("XINFO", "STREAM", name) for name in self._views])
        joins: list[Command] = []
        for (name, view), reply in zip(self._views.items(), replies, strict=True):
            joins.append(("XGROUP", "CREATE", name, GROUP, self._start(view, LogState.parse(reply)), "MKSTREAM"))
        for reply in self._store.run(joins):
            _unless(reply, "BUSYGROUP")

    def show_alive(self) -> None:
        """Keeps others from claiming what we were given. Raises StoreUnavailable."""
        self._store.call("SET", refresher_key(self.name), "", "PX", ALIVE_MS)

    def leave(self) -> None:
        """Lets others claim at once what we still owe. Raises StoreUnavailable."""
        self._store.call("DEL", refresher_key(self.name))

    def read(self, block_ms: int | None, now_ms: int) -> list[Delivery]:
        """New records, after at most `block_ms`; at once if None.

        Raises:
            StoreUnavailable: Redis is away; what we may have been given is ours until it is claimed.
        """
        command = group_read_command(GROUP, self.name, list(self._views.values()), READ_RECORDS, block_ms)
        reply = _unless(self._store.run([command])[0], "NOGROUP")
        if isinstance(reply, CommandFailed):
            self.join()
            return []
        return [self._delivery(self._views[name], records, now_ms) for name, records in reply or ()]

    def claim(self, now_ms: int) -> list[Delivery]:
        """Some of what readers owe that are no more; forgets those who owe nothing.

        Raises:
            StoreUnavailable: Redis is away.
        """
        found: list[Delivery] = []
        for log, view in self._views.items():
            try:
                found += self._owed_by_the_dead(log, view, now_ms)
            except CommandFailed as error:
                # Neither log nor group: the next read joins again.
                if not str(error).startswith(("NOGROUP", "ERR no such key")):
                    raise
        return found

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """All that these records asked for has been seen to. Raises StoreUnavailable."""
        acks: list[Command] = [("XACK", log_key(d.view), GROUP, *d.records) for d in deliveries if d.records]
        for reply in self._store.run(acks) if acks else ():
            checked(reply)

    def _start(self, view: str, log: LogState) -> str:
        at = self._positions.get(view)
        if at is None:
            return "$"
        return "0" if log.ends_before(at) else stream_id(at)

    def _delivery(self, view: str, records: Sequence[Reply], now_ms: int) -> Delivery:
        delivery = Delivery(view, [name for name, _ in records])
        self._positions[view] = max(self._positions.get(view, 0), as_of_id(records[-1][0]))
        for name, fields in records:
            try:
                entity = _entity(fields)
            except (ValueError, KeyError) as error:
                why = str(error).strip("'") or type(error).__name__
                content = tuple(fields or ())
                delivery.unreadable.append(Letter("updates", log_key(view), name.decode(), why, now_ms, content))
            else:
                delivery.changes.append((view, entity))
        return delivery

    def _owed_by_the_dead(self, log: bytes, view: str, now_ms: int) -> Iterator[Delivery]:
        for dead in self._dead(log):
            if dead.owes:
                delivery = self._claimed(log, view, dead.name, now_ms)
                if delivery.records:
                    yield delivery
            elif dead.idle_ms > _FORGET_MS:
                self._store.call("XGROUP", "DELCONSUMER", log, GROUP, dead.name)

    def _dead(self, log: bytes) -> list[_Consumer]:
        known = map(_Consumer.parse, self._store.call("XINFO", "CONSUMERS", log, GROUP))
        others = [reader for reader in known if reader.name != self.name]
        alive = self._store.call("MGET", *(refresher_key(other.name) for other in others)) if others else ()
        return [other for other, shown in zip(others, alive, strict=True) if shown is None]

    def _claimed(self, log: bytes, view: str, dead: str, now_ms: int) -> Delivery:
        pending = checked(self._store.call("XPENDING", log, GROUP, "-", "+", READ_RECORDS, dead))
        ids = [entry[0] for entry in pending]
        if not ids:
            return Delivery(view, [])
        claimed = self._store.call("XCLAIM", log, GROUP, self.name, _CLAIM_IDLE_MS, *ids)
        records = [record for record in claimed if record and record[1] is not None]
        delivery = self._delivery(view, records, now_ms) if records else Delivery(view, [])
        delivery.records += self._trimmed(log, ids, delivery.records)
        return delivery

    def _trimmed(self, log: bytes, ids: Sequence[bytes], claimed: Sequence[bytes]) -> list[bytes]:
        """Pending records that the log holds no more: nobody can say what they were about."""
        missing = sorted(set(ids) - set(claimed))
        replies = self._store.run([("XRANGE", log, name, name) for name in missing]) if missing else []
        return [name for name, reply in zip(missing, replies, strict=True) if reply == []]


@dataclass(frozen=True, slots=True)
class _Consumer:
    """A reader as the server knows it."""

    name: str
    owes: int
    idle_ms: int

    @classmethod
    def parse(cls, reply: Reply) -> _Consumer:
        fields = dict(zip(reply[::2], reply[1::2], strict=True))
        return cls(fields[b"name"].decode(), fields[b"pending"], fields[b"idle"])


def _entity(fields: Sequence[bytes] | None) -> str:
    """The entity that a record names; raises ValueError or KeyError if it names none."""
    found = dict(zip(fields[::2], fields[1::2], strict=True)) if fields else {}
    if ENTITY_FIELD not in found:
        raise KeyError("names no entity")
    return found[ENTITY_FIELD].decode()


def _unless(reply: Reply, expected: str) -> Reply:
    """The reply, be it this failure or none; raises as `checked` does."""
    return reply if isinstance(reply, CommandFailed) and str(reply).startswith(expected) else checked(reply)
