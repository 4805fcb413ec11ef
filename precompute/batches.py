"""How N rows become runs a model can take, and how the results become N rows again.

A model may fix its batch size (short runs are padded by repeating the last row), and may have scalar inputs
without a batch axis (rows that agree on all of them share a run). Nothing here knows ONNX.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from precompute.errors import PermanentError
from precompute.signature import Array, Output, OutputSpec, Signature, describe, dtype_name


@dataclass(frozen=True, slots=True)
class Run:
    """One call of the model: which rows it holds, in order, and to how many rows it is padded."""

    rows: Array
    size: int

    def feeds(self, feeds: Mapping[str, Array], signature: Signature) -> dict[str, Array]:
        """The tensors of this run, cut from those of all rows."""
        padding = np.repeat(self.rows[-1:], self.size - len(self.rows))
        taken = np.concatenate((self.rows, padding)) if len(padding) else self.rows
        return {
            spec.name: feeds[spec.name][taken] if spec.batched else feeds[spec.name][self.rows[:1]].reshape(())
            for spec in signature.inputs
        }

    def trim(self, spec: OutputSpec, output: Output) -> Output:
        """One output of this run with exactly one entry per row, padding dropped, shared values repeated."""
        count = len(self.rows)
        if spec.batched:
            return output[:count]
        return output * count if isinstance(output, list) else np.broadcast_to(output, (count, *output.shape))


@dataclass(frozen=True, slots=True)
class Plan:
    """How the rows of one call are cut into runs.

    At most `max_batch` rows a run, or exactly as many as the model fixes; `buckets` pads to powers of two.
    """

    signature: Signature
    max_batch: int
    buckets: bool

    def runs(self, feeds: Mapping[str, Array], rows: int) -> Iterator[Run]:
        """The runs for `rows` rows."""
        shared = [feeds[spec.name] for spec in self.signature.inputs if not spec.batched]
        # Without any batched input one run answers a whole group, however large.
        limit = rows if len(shared) == len(self.signature.inputs) else self.signature.batch_size or self.max_batch
        for group in alike(shared, rows):
            for start in range(0, len(group), limit):
                part = group[start : start + limit]
                yield Run(part, self._padded(len(part)))

    def _padded(self, rows: int) -> int:
        if fixed := self.signature.batch_size:
            return fixed
        return min(1 << (rows - 1).bit_length(), self.max_batch) if self.buckets else rows


def alike(columns: Sequence[Array], rows: int) -> list[Array]:
    """Row numbers grouped by equal values in all columns, each group ascending.

    Numbers are compared by their bits: 0.0 and -0.0 differ to a model, one NaN does not differ from itself.
    """
    if not columns or rows == 1:
        return [np.arange(rows)]
    groups: dict[tuple[object, ...], list[int]] = {}
    for row, values in enumerate(zip(*map(_comparable, columns), strict=True)):
        groups.setdefault(values, []).append(row)
    return [np.array(group) for group in groups.values()]


def _comparable(column: Array) -> list[Any]:
    if dtype_name(column) != "string":
        column = np.ascontiguousarray(column).view(f"u{column.dtype.itemsize}")
    values: list[Any] = column.tolist()
    return values


def gather(runs: Sequence[Run], parts: Sequence[Output]) -> Output:
    """One output of several runs, in the order of the rows that were asked.

    Raises PermanentError when runs differ in the shape of their rows.
    """
    if len(runs) == 1:
        return parts[0]
    order = np.concatenate([run.rows for run in runs])
    if isinstance(parts[0], list):
        flat = [row for part in parts for row in part]
        return [flat[i] for i in np.argsort(order)]
    tensors = [np.asarray(part) for part in parts]
    if len({part.shape[1:] for part in tensors}) > 1:
        raise PermanentError(f"the model's rows differ in shape: {sorted({part.shape[1:] for part in tensors})}")
    joined = np.concatenate(tensors)
    ordered = np.empty_like(joined)
    ordered[order] = joined
    return ordered


def feed_problems(feeds: Mapping[str, Array], signature: Signature) -> list[str]:
    """What is wrong with the tensors of a call, as sentences; exact types are expected (`TensorSpec.fit`)."""
    wanted = {spec.name: spec for spec in signature.inputs}
    problems = [f"the model has no input {name!r}; it has {', '.join(wanted)}" for name in feeds if name not in wanted]
    problems += [f"input {spec} is missing" for spec in signature.inputs if spec.name not in feeds]
    given = [(wanted[name], values) for name, values in feeds.items() if name in wanted]
    for spec, values in given:
        row = values.shape[1:]
        fits = values.ndim > 0 and len(row) == len(spec.row_shape) and spec.accepts_row(row)
        if not fits or dtype_name(values) != spec.dtype:
            got = describe(dtype_name(values), ("N", *row) if values.ndim else ())
            problems.append(f"input {spec.name!r}: got {got}, the model takes {spec.kind}")
    counts = {spec.name: len(values) for spec, values in given if values.ndim}
    if len(set(counts.values())) > 1:
        problems.append(f"the inputs disagree on the number of rows: {counts}")
    return problems


def require(feeds: Mapping[str, Array], signature: Signature) -> None:
    """Raises PermanentError with every problem of the tensors of a call."""
    if problems := feed_problems(feeds, signature):
        raise PermanentError("; ".join(problems))
