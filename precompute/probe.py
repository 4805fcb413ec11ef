"""Runs with made-up rows: to warm a model up, and to learn which outputs really follow the batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from precompute.errors import PermanentError
from precompute.signature import Array, Output, OutputSpec, Shape, Signature

#: Calls the model: names of the wanted outputs, one tensor per input.
Execute = Callable[[Sequence[str], Mapping[str, Array]], Sequence[Output]]


def zero_rows(signature: Signature, rows: int) -> dict[str, Array]:
    """N rows of zeros and empty strings for each input; sizes the model leaves open are 1."""
    return {
        spec.name: np.full(
            (rows, *(size if size is not None else 1 for size in spec.row_shape)),
            "" if spec.dtype == "string" else 0,
            dtype=object if spec.dtype == "string" else spec.dtype,
        )
        for spec in signature.inputs
    }


def repeated(sample: Mapping[str, Array], rows: int) -> dict[str, Array]:
    """N rows made of the sample's rows, over and over."""
    return {name: values[np.arange(rows) % len(values)] for name, values in sample.items()}


def with_true_batch_axes(signature: Signature, execute: Execute) -> Signature:
    """The signature with outputs that are batched exactly if their first axis follows the rows.

    A file may leave an output's shape out (which reads as a scalar), or claim the batch size of its export.
    """
    if not any(spec.batched for spec in signature.inputs):
        return replace(signature, outputs=tuple(replace(spec, batched=False) for spec in signature.outputs))
    batch = signature.batch_size
    doubtful = [s for s in signature.outputs if s.kind == "tensor" and (not s.shape or s.shape[0] != batch)]
    if not doubtful:
        return signature
    try:
        seen = [_shapes(signature, doubtful, execute, rows) for rows in ((batch,) if batch else (2, 3))]
    except PermanentError:
        # Zeros may be no valid input. Then the declared shapes stand, and every run compares them.
        return signature
    true = {spec.name: _observed(spec, [shapes[spec.name] for shapes in seen]) for spec in doubtful}
    return replace(signature, outputs=tuple(true.get(spec.name, spec) for spec in signature.outputs))


def _shapes(
    signature: Signature, outputs: Sequence[OutputSpec], execute: Execute, rows: int
) -> dict[str, tuple[int, Shape]]:
    zeros = zero_rows(signature, rows)
    feeds = {s.name: zeros[s.name] if s.batched else zeros[s.name][0].reshape(()) for s in signature.inputs}
    names = [spec.name for spec in outputs]
    results = execute(names, feeds)
    return {name: (rows, np.shape(np.asarray(result))) for name, result in zip(names, results, strict=True)}


def _observed(spec: OutputSpec, runs: Sequence[tuple[int, Shape]]) -> OutputSpec:
    """The output as runs with known numbers of rows showed it; sizes that changed between them are open."""
    first = runs[0][1]
    shape = tuple(
        size if all(seen[axis : axis + 1] == (size,) for _, seen in runs) else None for axis, size in enumerate(first)
    )
    return replace(spec, shape=shape, batched=all(seen[:1] == (rows,) for rows, seen in runs))
