"""Declared outputs as tensors, for callers who ask for tensors: what `outputs` writes as JSON, by the same rules.

As it is, an output keeps its type and every bit. A map of class to probability has no form as a tensor and becomes its
JSON text. What JSON says with null is NaN here; an argmax that a NaN leaves undecided is -1, or the empty label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import msgspec
import numpy as np

from precompute.errors import PermanentError
from precompute.fragments import map_texts
from precompute.outputs import OutputRule, best_key, picked, require_rows, transformed
from precompute.signature import Array, Output, OutputSpec, Shape, Signature


@dataclass(frozen=True, slots=True)
class AnswerSpec:
    """One declared output: NumPy's name of its type or `string`, and the shape of a row.

    Attributes:
        batched: whether there is one for each row; else the same holds for all.
        labels: what the values of a row are called, where each is.
        as_text: whether its JSON text is the value.
    """

    name: str
    dtype: str
    row_shape: Shape
    batched: bool = True
    labels: tuple[str, ...] | None = None
    as_text: bool = False

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """What its arrays have."""
        return np.dtype(object if self.dtype == "string" else self.dtype)


def answer_specs(rules: Sequence[OutputRule], signature: Signature) -> tuple[AnswerSpec, ...]:
    """The declared outputs of a model, in order."""
    specs = {spec.name: spec for spec in signature.outputs}
    return tuple([_answer_spec(rule, specs[rule.source]) for rule in rules])


def _answer_spec(rule: OutputRule, spec: OutputSpec) -> AnswerSpec:
    if spec.kind == "maps":
        if rule.transform == "argmax":
            return AnswerSpec(rule.name, spec.keys or "string", ())
        if rule.pick is not None:
            return AnswerSpec(rule.name, "float32", ())
        return AnswerSpec(rule.name, "string", (), as_text=True)
    if rule.transform == "argmax":
        return AnswerSpec(rule.name, "string" if rule.labels else "int64", spec.row_shape[:-1], spec.batched)
    narrow = spec.dtype == "float16" and rule.transform != "identity"
    dtype = "float32" if narrow else spec.dtype
    if rule.pick is not None:
        return AnswerSpec(rule.name, dtype, spec.row_shape[:-1], spec.batched)
    return AnswerSpec(rule.name, dtype, spec.row_shape, spec.batched, rule.labels)


def declared(rules: Sequence[OutputRule], raw: Mapping[str, Output], rows: int) -> dict[str, Array]:
    """Each declared output of N rows, `[N, ...]`.

    Raises:
        PermanentError: an output does not have N rows, or lacks what is picked or labelled.
    """
    return {rule.name: _tensor(rule, raw[rule.source], rows) for rule in rules}


def _tensor(rule: OutputRule, output: Output, rows: int) -> Array:
    require_rows(rule, output, rows)
    if isinstance(output, list):
        return _of_maps(rule, output)
    output = transformed(rule, output)
    if rule.transform == "argmax":
        return _best(rule, output)
    return output if rule.pick is None else picked(rule, output)


def _best(rule: OutputRule, output: Array) -> Array:
    best = output.argmax(axis=-1)
    undecided = np.isnan(output).any(axis=-1)
    names: Array = np.array(rule.labels, dtype=object) if rule.labels else np.arange(output.shape[-1], dtype=np.int64)
    chosen: Array = names[best]
    return np.where(undecided, "" if rule.labels else -1, chosen) if undecided.any() else chosen


def _of_maps(rule: OutputRule, maps: list[dict[Any, float]]) -> Array:
    if rule.transform == "argmax":
        best = [best_key(row) for row in maps]
        is_text = any(isinstance(key, str) for row in maps for key in row)
        nothing = "" if is_text else -1
        return np.array([nothing if key is None else key for key in best], object if is_text else np.int64)
    if rule.pick is None:
        return np.array([text.decode() for text in map_texts(maps)], object)
    try:
        return np.array([row[_pick(rule, row)] for row in maps], np.float32)
    except KeyError:
        raise PermanentError(f"output {rule.name!r}: no {rule.pick!r} among {sorted(maps[0])}") from None


def _pick(rule: OutputRule, row: dict[Any, float]) -> Any:
    return int(rule.pick or 0) if isinstance(next(iter(row), None), int) else rule.pick


def from_json(spec: AnswerSpec, text: bytes) -> Array:
    """One row of an output, `[1, ...]`, from the JSON that an answer shows it as.

    Raises:
        PermanentError: the value does not fit, as a declared default may not.
    """
    if spec.as_text:
        return np.array([text.decode()], object)
    value = msgspec.json.decode(text)
    try:
        if spec.labels is not None and isinstance(value, dict):
            value = [value[label] for label in spec.labels]
        array = np.array(_with_numbers(value, spec), spec.numpy_dtype)
        return array.reshape((1, *_row_shape(spec, array)))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise PermanentError(f"output {spec.name!r}: {text[:80]!r} is no {spec.dtype} of its shape") from None


def _with_numbers(value: Any, spec: AnswerSpec) -> Any:
    """Nothing, in a value's own type."""
    if isinstance(value, list):
        return [_with_numbers(each, spec) for each in value]
    if value is not None:
        if isinstance(value, str) is not (spec.dtype == "string"):
            raise TypeError
        return value
    return "" if spec.dtype == "string" else np.nan if spec.dtype.startswith("float") else -1


def _row_shape(spec: AnswerSpec, array: Array) -> tuple[int, ...]:
    """A single value stands without brackets in an answer, whatever its rank."""
    if array.ndim == len(spec.row_shape):
        shape = array.shape
    else:
        shape = tuple([1 if size is None else size for size in spec.row_shape])
    if prod(shape) != array.size or any(
        want not in (None, got) for want, got in zip(spec.row_shape, shape, strict=True)
    ):
        raise ValueError
    return shape
