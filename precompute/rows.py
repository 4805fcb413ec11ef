"""The packed form of a feature row.

    event    i64        event time, ms since 1970
    update   u64, u32   update id of the row's last change: ms and sequence
    layout   u16        which fields follow, and how
    missing  ceil(n/8)  a bit for each field, in declared order
    numbers             numeric fields in declared order, little-endian, no padding
    strings             each as u16 length and UTF-8, in declared order

The script that stores a row writes the first 20 bytes and compares the rest, so to it "no change" is one string
comparison. Missing floats are NaN already where they lie: reading them under the policy `nan` costs nothing.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xxhash

from precompute.errors import RowRejected
from precompute.feature_values import NO_TEXT, TEXT_LENGTH, packer
from precompute.updates import SEQUENCE_BITS
from precompute.views import KINDS, Field, Missing, View

STAMP = struct.Struct("<qQI")
_LAYOUT = struct.Struct("<H")

_CODES = {"float32": "f", "float64": "d", "int32": "i", "int64": "q", "uint8": "B", "bool": "?"}


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a row's event happened and which update changed it last."""

    event_ms: int
    update_id: int


class Layout:
    """Packs and unpacks the rows of one view."""

    #: Where the layout id and the missing bits stand.
    layout_offset = STAMP.size
    missing_offset = STAMP.size + _LAYOUT.size

    def __init__(self, view: View) -> None:
        self.view = view
        self.numbers = [f for f in view.fields if f.kind != "string"]
        self.strings = [f for f in view.fields if f.kind == "string"]
        text = ";".join(f"{f.name}:{f}" for f in view.fields)
        self.id = xxhash.xxh3_64_intdigest(text.encode()) & 0xFFFF
        self.missing_bytes = (len(view.fields) + 7) // 8
        self.bit = {f.name: i for i, f in enumerate(view.fields)}
        self.offset: dict[str, int] = {}
        at = self.missing_offset + self.missing_bytes
        for field in self.numbers:
            self.offset[field.name] = at
            at += field.size * KINDS[field.kind]
        #: Bytes before the strings; the whole row where there are none.
        self.fixed_size = at
        self._struct = struct.Struct("<" + "".join(map(_code, self.numbers)))
        self._packed_id = _LAYOUT.pack(self.id)
        self._packers = [(f, packer(f)) for f in view.fields]

    def encode(self, values: Mapping[str, object]) -> bytes:
        """What follows the stamp, from field values; a field that is left out, None or NaN is missing.

        Raises:
            RowRejected: an unknown field, a value of the wrong type or shape, or a missing one that may not be.
        """
        unknown = values.keys() - self.bit.keys()
        if unknown:
            known = ", ".join(self.bit)
            raise RowRejected(f"view {self.view.name!r} has no field {min(unknown)!r}; it has: {known}")
        bits = 0
        numbers: list[Any] = []
        strings: list[Any] = []
        for i, (field, pack) in enumerate(self._packers):
            value = values.get(field.name)
            if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
                if field.missing is Missing.ERROR:
                    raise RowRejected(f"{self.view.name}.{field.name} ({field}) is missing and has no policy for that")
                bits |= 1 << i
                value = None
            (strings if field.kind == "string" else numbers).append(pack(value))
        return b"".join((self._packed_id, self._bits(bits), self._struct.pack(*numbers), *strings))

    def _bits(self, bits: int) -> bytes:
        return bits.to_bytes(self.missing_bytes, "little")

    def _missing(self, row: bytes) -> int:
        return int.from_bytes(row[self.missing_offset : self.missing_offset + self.missing_bytes], "little")

    @cached_property
    def absent(self) -> bytes:
        """A row in which everything is missing: what stands in for a row that is not there."""
        everything = self._bits((1 << len(self._packers)) - 1)
        numbers = [pack(None) for field, pack in self._packers if field.kind != "string"]
        texts = NO_TEXT * len(self.strings)
        return STAMP.pack(0, 0, 0) + self._packed_id + everything + self._struct.pack(*numbers) + texts

    def fits(self, row: bytes) -> bool:
        """Whether a row was packed with this layout."""
        return row[self.layout_offset : self.missing_offset] == self._packed_id and (
            len(row) >= self.fixed_size if self.strings else len(row) == self.fixed_size
        )

    def decode(self, row: bytes) -> dict[str, object]:
        """Field values by name, missing ones as None; for people, not for tensors."""
        bits = self._missing(row)
        texts = dict(zip((f.name for f in self.strings), self.texts(row), strict=True))
        return {
            f.name: None if bits >> i & 1 else texts[f.name] if f.kind == "string" else self._number(row, f)
            for i, f in enumerate(self.view.fields)
        }

    def _number(self, row: bytes, field: Field) -> object:
        array = np.frombuffer(row, field.dtype, field.size, self.offset[field.name])
        return array.reshape(field.shape).tolist()

    def texts(self, row: bytes) -> list[str]:
        """The string fields of a row, in declared order."""
        return [text[TEXT_LENGTH.size :].decode() for text in self._packed_texts(row)]

    def _packed_texts(self, row: bytes) -> list[bytes]:
        found, at = [], self.fixed_size
        for _ in self.strings:
            (length,) = TEXT_LENGTH.unpack_from(row, at)
            end = at + TEXT_LENGTH.size + length
            found.append(row[at:end])
            at = end
        return found

    def adopt(self, row: bytes, old: Layout) -> bytes:
        """A row of another layout in this one: what is new, or has changed its type, is missing."""
        fixed = bytearray(self.absent[: self.fixed_size])
        fixed[: STAMP.size] = row[: STAMP.size]
        texts = dict.fromkeys([f.name for f in self.strings], NO_TEXT)
        old_texts = dict(zip((f.name for f in old.strings), old._packed_texts(row), strict=True))
        bits, old_bits = (1 << len(self._packers)) - 1, old._missing(row)
        for i, field in enumerate(self.view.fields):
            was = old.view.field(field.name)
            if was is None or str(was) != str(field) or old_bits >> old.bit[field.name] & 1:
                continue
            bits ^= 1 << i
            if field.kind == "string":
                texts[field.name] = old_texts[field.name]
            else:
                at, start, size = self.offset[field.name], old.offset[field.name], field.size * KINDS[field.kind]
                fixed[at : at + size] = row[start : start + size]
        fixed[self.missing_offset : self.missing_offset + self.missing_bytes] = self._bits(bits)
        return b"".join((fixed, *texts.values()))


def _code(field: Field) -> str:
    return f"{field.size * KINDS[field.kind]}s" if field.shape else _CODES[field.kind]


def layout_id(row: bytes) -> int:
    """Which layout a row was packed with."""
    return int.from_bytes(row[Layout.layout_offset : Layout.missing_offset], "little")


def stamp(row: bytes) -> Stamp:
    """When the row's event happened and which update changed it last."""
    event_ms, ms, sequence = STAMP.unpack_from(row)
    return Stamp(event_ms, ms << SEQUENCE_BITS | sequence)
