"""The stored form of a prediction.

    format  u8      this layout
    count   u8      update ids
    epoch   u32     32 bits of the primary's replication id
    computed u64    ms since 1970
    as-of   u64 x count   update ids, in the order of the model's dependencies; last that of the orders log
    body    the ready-made JSON

The body begins with its identity (model, version, variant, key), which only the right key can produce; it is
compared on every read, so a mixed-up connection or slot cannot hand one caller another's prediction. 14 bytes and
8 per id keep a 150-byte body with two dependencies in the 192-byte class of Redis' allocator.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import orjson

from precompute.errors import EntryCorrupt
from precompute.updates import AsOf, milliseconds, timestamp

FORMAT = 1
_FIXED = struct.Struct("<BBIQ")
#: How the last member, a time, ends every body: what was cut short does not.
_END = b'Z"}'
#: The bytes that hold the epoch, first and last, as `GETRANGE` counts them.
EPOCH_RANGE = (2, 5)
_AS_OF = [struct.Struct(f"<{n}Q") for n in range(256)]


@dataclass(frozen=True, slots=True)
class Entry:
    """A prediction as a reader sees it: the body to send, and what decides whether it may be."""

    epoch: int
    as_of: tuple[int, ...]
    computed_ms: int
    body: bytes


def identity(model: str, version: int, variant: str, key: str) -> bytes:
    """What the body of this prediction begins with, and no other's does."""
    return identity_prefix(model, version, variant) + key.encode() + b'",'


def identity_prefix(model: str, version: int, variant: str) -> bytes:
    """The part of `identity` that all keys of a version share; canonical keys need no JSON escapes."""
    head = {"model": model, "version": version, "variant": variant}
    return orjson.dumps(head)[:-1] + b',"key":"'


def header(as_of: AsOf, computed_ms: int) -> bytes:
    """The bytes before the body; the same for a whole batch."""
    count = len(as_of.ids)
    return _FIXED.pack(FORMAT, count, as_of.epoch, computed_ms) + _AS_OF[count].pack(*as_of.ids)


def tail(as_of: AsOf, computed_ms: int) -> bytes:
    """The end of the body; the same for a whole batch. `as_of` is the newest change the prediction knows of."""
    known = milliseconds(max(as_of.ids, default=0))
    return f',"as_of":"{timestamp(known)}","computed_at":"{timestamp(computed_ms)}"}}'.encode()


def header_bytes(ids: int) -> int:
    """How long the header with so many update ids is."""
    return _FIXED.size + 8 * ids


def split(value: bytes, expected: bytes) -> tuple[bytes, bytes]:
    """The header and the body of a stored value; `expected` is the `identity` of the key that was asked for.

    Raises:
        EntryCorrupt: it does not parse, or is another key's.
    """
    if len(value) < _FIXED.size:
        raise EntryCorrupt(f"entry of {len(value)} bytes is cut short")
    start = header_bytes(value[1])
    if value[0] != FORMAT:
        raise EntryCorrupt(f"entry has format {value[0]}, this release reads {FORMAT}")
    if not value.startswith(expected, start) or not value.endswith(_END):
        raise EntryCorrupt(f"entry begins with {value[start : start + 120]!r}, expected {expected!r}")
    return value[:start], value[start:]


def decode(value: bytes, expected: bytes) -> Entry:
    """Reads a stored value; raises as `split` does."""
    head, body = split(value, expected)
    _, count, epoch, computed_ms = _FIXED.unpack_from(head)
    return Entry(epoch, _AS_OF[count].unpack_from(head, _FIXED.size), computed_ms, body)


def epoch_of(piece: bytes) -> int | None:
    """The epoch in the `EPOCH_RANGE` of a stored value, for those who read nothing else of it; None if it is short."""
    return int.from_bytes(piece, "little") if len(piece) == 4 else None


def mark_stale(body: bytes) -> bytes:
    """The body of an answer that is served beyond its freshness."""
    return body[:-1] + b',"stale":true}'
