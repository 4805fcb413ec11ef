"""What workers, refreshers and schedulers say of themselves every few seconds, in Redis, for people to see. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from precompute.keys import STATS_ROLES, role_key
from precompute.store import checked
from precompute.updates import Command, Reply

#: Who has said nothing for so long is not alive.
SILENT_MS = 10_000
#: How long one that has ended is remembered.
_KEEP_S = 900


class QueueNote(msgspec.Struct, frozen=True):
    """What waits in one queue; `oldest_s` is None where nothing does."""

    name: str
    depth: int
    oldest_s: float | None


class RoleNote(msgspec.Struct, frozen=True, kw_only=True):
    """One process.

    Attributes:
        progress_ms: when it last got on with its work; None if it has not yet.
        leads_since_ms: of a scheduler that leads.
        queues: as the leader sees them.
    """

    at_ms: int
    progress_ms: int | None = None
    rows_per_s: float = 0.0
    leads_since_ms: int | None = None
    queues: tuple[QueueNote, ...] = ()

    def is_alive(self, now_ms: int) -> bool:
        """Whether it has said so lately."""
        return now_ms - self.at_ms <= SILENT_MS


@dataclass(frozen=True, slots=True, order=True)
class RoleName:
    """Which process: `worker`, `refresher` or `scheduler`, and a name."""

    role: str
    name: str

    def __str__(self) -> str:
        return f"{self.role}@{self.name}"


def write_commands(who: RoleName, note: RoleNote) -> list[Command]:
    """Takes the place of the note before."""
    return [
        ("SET", role_key(who.role, who.name), msgspec.json.encode(note), "EX", _KEEP_S),
        ("ZADD", STATS_ROLES, note.at_ms, f"{who.role} {who.name}"),
        ("ZREMRANGEBYSCORE", STATS_ROLES, "-inf", note.at_ms - _KEEP_S * 1000),
    ]


def forget_commands(who: RoleName) -> list[Command]:
    """A process that ends cleanly is not missed."""
    return [("DEL", role_key(who.role, who.name)), ("ZREM", STATS_ROLES, f"{who.role} {who.name}")]


#: Asks which processes there are.
NAMES: Command = ("ZRANGE", STATS_ROLES, 0, -1)


def names(reply: Reply) -> list[RoleName]:
    """Those, from the reply to `NAMES`."""
    parts = (member.decode().partition(" ") for member in checked(reply))
    return sorted(RoleName(role, name) for role, _, name in parts)


def read_commands(wanted: Sequence[RoleName]) -> list[Command]:
    """Asks what some processes say."""
    return [("GET", role_key(who.role, who.name)) for who in wanted]


def notes(wanted: Sequence[RoleName], replies: Sequence[Reply]) -> dict[RoleName, RoleNote]:
    """What they say; nothing of those whose note has expired meanwhile."""
    found = {}
    for who, reply in zip(wanted, replies, strict=True):
        raw = checked(reply)
        if raw is not None:
            found[who] = msgspec.json.decode(raw, type=RoleNote)
    return found
