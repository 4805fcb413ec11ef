"""What the latest audit has found, kept in the primary for whoever watches the fleet."""

from __future__ import annotations

import msgspec

from precompute.keys import AUDIT
from precompute.store import Store


class AuditNote(msgspec.Struct, frozen=True):
    """The figures of one audit, or of a continuous one up to now.

    Attributes:
        checked: answers held against the primary.
        falsely_fresh: those that must never be.
    """

    at_ms: int
    checked: int
    falsely_fresh: int


def write(store: Store, note: AuditNote) -> None:
    """Takes the place of the note before. Raises StoreUnavailable."""
    store.call("SET", AUDIT, msgspec.json.encode(note))


def read(store: Store) -> AuditNote | None:
    """The latest note; None if nobody has audited yet. Raises StoreUnavailable."""
    raw = store.call("GET", AUDIT)
    return msgspec.json.decode(raw, type=AuditNote) if raw else None
