"""From packed rows to input tensors.

Many keys share an entity (three airports serve ten thousand flights), so each view's rows are read and judged once
per entity and then spread over the keys by index. Fields that lie side by side in the row and go side by side into
an input are copied as one block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from precompute.errors import FeatureUnfit, PermanentError
from precompute.manifest import Project
from precompute.models import InputSpec, Key, Model
from precompute.rows import Layout
from precompute.signature import Array, Signature, TensorSpec
from precompute.view_rows import Block, Rows, lost
from precompute.views import KINDS, Field


@dataclass(frozen=True)
class _Run:
    """Neighbouring numeric fields of one view that fill neighbouring columns.

    What follows from the fields is worked out once: for a single key it would take longer than the model does.
    """

    view: int
    fields: tuple[Field, ...]
    offset: int
    kind: str

    @cached_property
    def elements(self) -> int:
        return sum(f.size for f in self.fields)

    @cached_property
    def end(self) -> int:
        return self.offset + self.elements * KINDS[self.kind]

    @cached_property
    def has_vectors(self) -> bool:
        return any(f.shape for f in self.fields)

    def read(self, block: Block, dtype: str) -> Array:
        # A copy, because the policies write into it.
        values = block.bytes[:, self.offset : self.end].copy().view(self.kind)
        if not block.complete or self.has_vectors:
            at = 0
            for field in self.fields:
                block.judge(field, values[:, at : at + field.size])
                at += field.size
        if values.dtype.kind in "iu":
            block.narrow(self.fields, values, dtype)
        return values


@dataclass(frozen=True, slots=True)
class _Text:
    """One string field."""

    view: int
    field: Field
    elements: int = 1


@dataclass(frozen=True, slots=True)
class _Context:
    """One request-time feature."""

    position: int
    name: str
    dtype: str
    elements: int = 1

    def read(self, keys: Sequence[Key]) -> Array:
        return np.array([key.context[self.position] for key in keys], self.dtype).reshape(-1, 1)


_Piece = _Run | _Text | _Context


@dataclass(frozen=True)
class _Input:
    """One input of the model: what is put side by side in it, and the tensor it wants."""

    spec: InputSpec
    pieces: tuple[_Piece, ...]
    tensor: TensorSpec

    @property
    def dtype(self) -> str:
        return "object" if self.tensor.dtype == "string" else self.tensor.dtype

    @cached_property
    def elements(self) -> int:
        return sum(p.elements for p in self.pieces)

    @cached_property
    def numpy_dtype(self) -> np.dtype[Any]:
        return np.dtype(self.dtype)

    @cached_property
    def row_shape(self) -> tuple[int, ...]:
        """What the model wants of a row. Raises PermanentError where these features cannot fill it."""
        row = (self.elements,) if self.spec.stacked else self._own_shape()
        return self.tensor.fit(np.empty((1, *row), self.numpy_dtype)).shape[1:]

    def fill(self, arrays: Sequence[Array]) -> Array:
        """The tensor, from one array for each piece."""
        out = arrays[0] if len(arrays) == 1 and arrays[0].dtype == self.numpy_dtype else self._joined(arrays)
        return out if out.shape[1:] == self.row_shape else out.reshape(len(out), *self.row_shape)

    def _joined(self, arrays: Sequence[Array]) -> Array:
        out = np.empty((len(arrays[0]), self.elements), self.numpy_dtype)
        at = 0
        with np.errstate(over="ignore"):  # A double beyond float32 becomes infinity, as in every float32 model.
            for piece, values in zip(self.pieces, arrays, strict=True):
                out[:, at : at + piece.elements] = values
                at += piece.elements
        return out

    def _own_shape(self) -> tuple[int, ...]:
        (piece,) = self.pieces
        return piece.fields[0].shape if isinstance(piece, _Run) else ()


class Assembler:
    """Fills the inputs of one model."""

    def __init__(self, project: Project, model: Model, layouts: Mapping[str, Layout], signature: Signature) -> None:
        self._layouts = [layouts[d.view] for d in model.dependencies]
        self._views = {d.view: i for i, d in enumerate(model.dependencies)}
        self._context = {f.name: (i, f.kind) for i, f in enumerate(model.context)}
        tensors = {tensor.name: tensor for tensor in signature.inputs}
        self._inputs = [_Input(spec, self._pieces(spec), tensors[spec.name]) for spec in model.inputs]

    def _pieces(self, spec: InputSpec) -> tuple[_Piece, ...]:
        pieces: list[_Piece] = []
        for feature in spec.features:
            if feature.view is None:
                position, kind = self._context[feature.field]
                dtype = "object" if kind == "string" else kind
                pieces.append(_Context(position, feature.field, dtype))
                continue
            at = self._views[feature.view]
            layout = self._layouts[at]
            field = layout.view.of(feature.field)
            if field.kind == "string":
                pieces.append(_Text(at, field))
            else:
                _extend(pieces, _Run(at, (field,), layout.offset[field.name], field.kind))
        return tuple(pieces)

    def assemble(
        self, keys: Sequence[Key], views: Sequence[Rows]
    ) -> tuple[dict[str, Array], NDArray[np.intp], dict[int, PermanentError]]:
        """Feeds for the keys that can be computed.

        Returns:
            feeds by input name, each with M rows; `[M]` which key each row is; and the error of each other key.
        """
        blocks = [Block(layout, rows) for layout, rows in zip(self._layouts, views, strict=True)]
        errors: dict[int, PermanentError] = {}
        # Reading judges: only after all pieces are read is it known which keys fall out.
        parts = [[_read(piece, blocks, keys, each.dtype, errors) for piece in each.pieces] for each in self._inputs]
        for block in blocks:
            errors = block.errors_by_key() | errors
        good = np.arange(len(keys))
        chosen = None
        if errors:
            chosen = good = np.delete(good, list(errors))
        picks = [_pick(block.rows.index, chosen) for block in blocks]
        feeds = {
            each.spec.name: each.fill([_picked(*pair, picks, chosen) for pair in zip(each.pieces, arrays, strict=True)])
            for each, arrays in zip(self._inputs, parts, strict=True)
        }
        return feeds, good, errors


_Pick = NDArray[np.intp] | None


def _pick(index: _Pick, chosen: _Pick) -> _Pick:
    """Which row of a view each chosen key means; None where nothing needs to be moved, as is mostly so."""
    if index is None or chosen is None:
        return chosen if index is None else index
    return index[chosen]


def _picked(piece: _Piece, values: Array, picks: Sequence[_Pick], chosen: _Pick) -> Array:
    """`[M, elements]` of one piece."""
    pick = chosen if isinstance(piece, _Context) else picks[piece.view]
    return values if pick is None else values[pick]


def _read(
    piece: _Piece, blocks: Sequence[Block], keys: Sequence[Key], dtype: str, errors: dict[int, PermanentError]
) -> Array:
    """`[U, elements]` of a view or `[N, 1]` of the request, judged."""
    if isinstance(piece, _Context):
        values = piece.read(keys)
        for key in lost(values, dtype)[0]:
            errors.setdefault(key, FeatureUnfit(f"context {piece.name}", values[key, 0], dtype))
        return values
    block = blocks[piece.view]
    return block.texts(piece.field) if isinstance(piece, _Text) else piece.read(block, dtype)


def _extend(pieces: list[_Piece], run: _Run) -> None:
    last = pieces[-1] if pieces else None
    if isinstance(last, _Run) and (last.view, last.kind, last.end) == (run.view, run.kind, run.offset):
        pieces[-1] = _Run(last.view, last.fields + run.fields, last.offset, last.kind)
    else:
        pieces.append(run)
