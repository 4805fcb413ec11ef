"""The rows of one view, judged: what is missing, what stands in for it, and which entities cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from precompute.errors import FeatureMissing, FeatureUnfit, PermanentError
from precompute.rows import Layout
from precompute.signature import Array
from precompute.views import Field, Missing


@dataclass(frozen=True, slots=True)
class Rows:
    """What was read of one view: a row, or None, for each entity, and which of them each key means.

    Attributes:
        entities: `[U]` distinct entities.
        rows: `[U]` packed rows in the current layout.
        index: `[N]` position of each key's entity; None where every key has one of its own, in the order of the keys.
    """

    entities: Sequence[str]
    rows: Sequence[bytes | None]
    index: NDArray[np.intp] | None


class Block:
    """The fixed part of a view's rows as bytes, `[U, fixed_size]`, what is missing in them, and what is refused."""

    def __init__(self, layout: Layout, rows: Rows) -> None:
        self.layout, self.rows = layout, rows
        size = layout.fixed_size
        self.whole = [layout.absent if row is None else row for row in rows.rows]
        joined = b"".join([row[:size] for row in self.whole] if layout.strings else self.whole)
        self.bytes = np.frombuffer(joined, np.uint8).reshape(len(self.whole), size)
        start = layout.missing_offset
        self._bits = self.bytes[:, start : start + layout.missing_bytes]
        self.complete = not self._bits.any()
        #: Entities that cannot be used, and why.
        self.errors: dict[int, PermanentError] = {}

    def _missing(self, field: Field) -> NDArray[np.bool_]:
        """`[U]` whether the field is missing."""
        bit = self.layout.bit[field.name]
        return (self._bits[:, bit >> 3] >> (bit & 7) & 1).astype(np.bool_)

    def judge(self, field: Field, values: Array) -> None:
        """Applies the field's policy to `values`, `[U, elements]`, in place."""
        if field.missing is Missing.NAN:
            return
        # A number alone that is NaN has its bit; inside a vector NaN has none.
        gone = np.isnan(values) if field.is_float and field.shape else np.zeros(values.shape, np.bool_)
        if not self.complete:
            gone |= self._missing(field)[:, np.newaxis]
        if not gone.any():
            return
        if field.missing is Missing.DEFAULT:
            values[gone] = field.default
        else:
            self._refuse(np.flatnonzero(gone.any(axis=1)), field)

    def _refuse(self, lacking: NDArray[np.intp], field: Field) -> None:
        for u in lacking.tolist():
            name = None if self.rows.rows[u] is None else field.name
            self.errors.setdefault(u, FeatureMissing(self.layout.view.name, self.rows.entities[u], name))

    @cached_property
    def _texts(self) -> list[list[str]]:
        return [self.layout.texts(row) for row in self.whole]

    def texts(self, field: Field) -> Array:
        """`[U, 1]` strings of one field, its policy applied."""
        which = self.layout.strings.index(field)
        values = np.array([texts[which] for texts in self._texts], object).reshape(-1, 1)
        self.judge(field, values)
        return values

    def narrow(self, fields: Sequence[Field], values: Array, dtype: str) -> None:
        """Refuses entities with an integer that the model's type cannot hold."""
        for u, column in zip(*lost(values, dtype), strict=True):
            name = f"{self.layout.view.name}.{_field_at(fields, column).name} of {self.rows.entities[u]!r}"
            self.errors.setdefault(u, FeatureUnfit(name, values[u, column], dtype))

    def errors_by_key(self) -> dict[int, PermanentError]:
        """The error of each key whose entity cannot be used."""
        if not self.errors:
            return {}
        index = self.rows.index
        if index is None:
            return self.errors
        refused = np.zeros(len(self.whole), np.bool_)
        refused[list(self.errors)] = True
        return {key: self.errors[int(index[key])] for key in np.flatnonzero(refused[index]).tolist()}


def lost(values: Array, dtype: str) -> tuple[list[int], list[int]]:
    """Rows and columns of the integers that another type cannot hold."""
    if values.dtype.kind not in "iu" or np.can_cast(values.dtype, dtype) or np.dtype(dtype).kind not in "iu":
        return [], []
    limits = np.iinfo(dtype)
    rows, columns = np.nonzero((values < limits.min) | (values > limits.max))
    return rows.tolist(), columns.tolist()


def _field_at(fields: Sequence[Field], column: int) -> Field:
    for field in fields:
        if column < field.size:
            return field
        column -= field.size
    raise IndexError(column)
