"""Entries in the store: write many to the primary, read many back."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from precompute.entry import Entry, decode, identity
from precompute.errors import EntryCorrupt, PermanentError, StoreUnavailable
from precompute.keys import entry_key, entry_prefix
from precompute.models import Policy
from precompute.predictor import Batch, Servable
from precompute.store import Link, Store, checked
from precompute.updates import Command


def lifetime_ms(policy: Policy, key: str) -> int:
    """How long a prediction is fresh as far as the TTL goes; spread by key, the same in every process."""
    spread = 1.0 - policy.ttl_jitter * zlib.crc32(key.encode()) / 0xFFFFFFFF
    return max(1, int(policy.ttl_s * 1000 * spread))


def write_commands(servable: Servable, batch: Batch) -> list[Command]:
    """`SET` for each prediction of a batch that could be computed."""
    policy, prefix = servable.model.policy, entry_prefix(servable.model.name, servable.version)
    extra_ms = int((policy.keep_s - policy.ttl_s) * 1000)
    head = batch.header
    return [
        ("SET", prefix + key.text, head + body, "PX", lifetime_ms(policy, key.text) + extra_ms)
        for key, body in zip(batch.keys, batch.bodies, strict=True)
        if isinstance(body, bytes)
    ]


@dataclass(slots=True)
class Writer:
    """Sends entries while the caller computes the next ones; at most one batch waits for its replies.

    Attributes:
        written: entries that Redis has accepted.
    """

    link: Link
    written: int = 0
    _owed: int = 0

    def write(self, commands: Sequence[Command]) -> None:
        """Sends; the replies to the batch before are read first, so that memory stays bounded.

        Redis takes 16 kB of a connection at a time, so that others get their turn however much we send: one piece
        a batch gave 166,000 keys/s where slices of 500, each waiting for the one before, gave 143,000.

        Raises:
            StoreUnavailable: Redis refused some of the batch before.
        """
        self.settle()
        self.link.send(commands)
        self._owed = len(commands)

    def settle(self) -> None:
        """Waits for what has been sent; raises as `write` does."""
        replies = self.link.receive(self._owed)
        self._owed = 0
        accepted = replies.count(b"OK")
        self.written += accepted
        if accepted < len(replies):
            first = next(reply for reply in replies if reply != b"OK")
            raise StoreUnavailable(f"Redis refused {len(replies) - accepted} of {len(replies)} entries: {first}")


def read(store: Store, servable: Servable, keys: Sequence[str]) -> list[Entry | PermanentError | None]:
    """Stored entries in the order asked; None where there is none, the error where it is damaged."""
    if not keys:
        return []
    name, version = servable.model.name, servable.version
    values = store.call("MGET", *(entry_key(name, version, key) for key in keys))
    found: list[Entry | PermanentError | None] = []
    for key, value in zip(keys, checked(values), strict=True):
        try:
            found.append(None if value is None else decode(value, identity(name, version, servable.variant, key)))
        except EntryCorrupt as error:
            found.append(error)
    return found
