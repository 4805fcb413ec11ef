"""What could not be read, set aside with its bytes, so that somebody may look at it and put it back.

One bounded list in the primary for each kind: records of update logs, and entries. The same thing may be set aside
more than once, by readers that know nothing of each other; it is listed once.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec
import xxhash

from precompute.errors import InvalidRequest
from precompute.keys import dead_key
from precompute.store import Store, checked
from precompute.updates import ENTITY_FIELD, Command

Kind = Literal["updates", "entries"]

#: Of each kind; older ones give way.
MOST = 1000
#: Bytes of content kept of one letter.
MOST_BYTES = 64 << 10


class Letter(msgspec.Struct, frozen=True):
    """One thing set aside.

    Attributes:
        source: the Redis key it was read from.
        record: its id in that log; empty for an entry.
        content: the flat fields of a record, or the one value of an entry.
    """

    kind: Kind
    source: str
    record: str
    why: str
    at_ms: int
    content: tuple[bytes, ...]

    @property
    def id(self) -> str:
        """Short, and the same whoever sets it aside."""
        named = msgspec.msgpack.encode((self.kind, self.source, self.record, self.content))
        return xxhash.xxh3_64_hexdigest(named)[:10]


def add_commands(letter: Letter) -> list[Command]:
    """Sets a letter aside; one that is too long is cut."""
    name = dead_key(letter.kind)
    return [("LPUSH", name, msgspec.msgpack.encode(_cut(letter))), ("LTRIM", name, 0, MOST - 1)]


def add(store: Store, *letters: Letter) -> None:
    """Sets letters aside. Raises StoreUnavailable."""
    for reply in store.run([command for letter in letters for command in add_commands(letter)]):
        checked(reply)


def recent(store: Store) -> list[Letter]:
    """All letters, newest first of each kind."""
    found: dict[str, Letter] = {}
    for kind in get_args(Kind):
        for packed in store.call("LRANGE", dead_key(kind), 0, -1):
            letter = msgspec.msgpack.decode(packed, type=Letter)
            found.setdefault(letter.id, letter)
    return list(found.values())


def find(store: Store, letter_id: str) -> Letter:
    """The letter of this id.

    Raises:
        InvalidRequest: there is none.
    """
    for letter in recent(store):
        if letter.id == letter_id:
            return letter
    raise InvalidRequest(f"no dead letter {letter_id!r}; nearcast dead list shows them")


def drop(store: Store, letter: Letter) -> None:
    """Forgets a letter, however often it was set aside."""
    name = dead_key(letter.kind)
    for packed in store.call("LRANGE", name, 0, -1):
        if msgspec.msgpack.decode(packed, type=Letter).id == letter.id:
            store.call("LREM", name, 0, packed)


def replay(store: Store, letter: Letter, entity: str | None = None) -> None:
    """Puts a letter back where it came from, and forgets it.

    A record is appended to its log once more, so that everybody who reads the log has another go; an entry is deleted,
    unless there is another one by now, so that the next request for it has it computed.

    Args:
        entity: what a record should have named.

    Raises:
        InvalidRequest: there is nothing to put back, or an entry has no entity to name.
    """
    if letter.kind == "entries":
        if entity is not None:
            raise InvalidRequest("an entry names no entity")
        if store.call("GET", letter.source) in letter.content:
            store.call("DEL", letter.source)
    else:
        fields = letter.content if entity is None else (ENTITY_FIELD, entity.encode())
        if not fields or len(fields) % 2:
            raise InvalidRequest("the record has no fields to put back; say which entity it should have named")
        store.call("XADD", letter.source, "*", *fields)
    drop(store, letter)


def _cut(letter: Letter) -> Letter:
    left, kept = MOST_BYTES, []
    for piece in letter.content:
        kept.append(piece[:left])
        left = max(0, left - len(piece))
    return msgspec.structs.replace(letter, content=tuple(kept))
