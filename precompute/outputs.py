"""From a model's raw outputs to the JSON of an answer, as the manifest declares it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from precompute.errors import PermanentError
from precompute.fragments import joined, label_texts, map_texts, object_texts, row_texts
from precompute.signature import Array, Output, OutputSpec, Signature, listed

Transform = Literal["identity", "softmax", "argmax", "sigmoid"]


@dataclass(frozen=True, slots=True)
class OutputRule:
    """One named value of the answer: the model output `source`, transformed, then picked.

    Softmax, argmax and `pick` work on the last axis, the one of the classes. `pick` is a position or, where
    there are labels or a map, a label. With `labels`, argmax gives the label, all else `{label: value}`.
    """

    name: str
    source: str
    transform: Transform = "identity"
    pick: int | str | None = None
    labels: tuple[str, ...] | None = None


def default_rules(signature: Signature) -> tuple[OutputRule, ...]:
    """Every output of the model under its own name, as it is."""
    return tuple(OutputRule(spec.name, spec.name) for spec in signature.outputs if spec.kind != "other")


def check(rules: Sequence[OutputRule], signature: Signature) -> list[str]:
    """What keeps the rules from working on this model, one sentence each; empty if nothing."""
    specs = {spec.name: spec for spec in signature.outputs}
    problems = []
    for rule in rules:
        if rule.source in specs:
            found = _problem(rule, specs[rule.source])
        else:
            found = f"the model has no output {rule.source!r}; it has {listed(signature.outputs)}"
        if found:
            problems.append(f"output {rule.name!r}: {found}")
    names = [rule.name for rule in rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    return problems + [f"output {name!r}: declared more than once" for name in twice]


def _problem(rule: OutputRule, spec: OutputSpec) -> str | None:
    if rule.transform == "argmax" and rule.pick is not None:
        return "argmax gives one value per row, so there is nothing to pick"
    if spec.kind == "other":
        return f"the model's {spec} cannot be written as JSON"
    return _map_problem(rule, spec) if spec.kind == "maps" else _tensor_problem(rule, spec)


def _map_problem(rule: OutputRule, spec: OutputSpec) -> str | None:
    if rule.transform in ("softmax", "sigmoid"):
        return f"{rule.transform} needs a tensor of floats, the model gives {spec}"
    if rule.labels is not None:
        return f"labels are for tensors, the model gives {spec}, which has its own"
    if isinstance(rule.pick, int) and spec.keys == "string":
        return f"pick = {rule.pick} is no label, the model gives {spec}"
    if isinstance(rule.pick, str) and spec.keys == "int64" and not _is_integer(rule.pick):
        return f"pick = {rule.pick!r} is no integer, the model gives {spec}"
    return None


def _tensor_problem(rule: OutputRule, spec: OutputSpec) -> str | None:
    by_class = rule.transform in ("softmax", "argmax")
    if rule.transform in ("softmax", "sigmoid") and not spec.dtype.startswith("float"):
        return f"{rule.transform} needs floats, the model gives {spec}"
    if rule.transform == "argmax" and spec.dtype == "string":
        return f"argmax needs numbers, the model gives {spec}"
    if not spec.row_shape:
        needs = by_class or rule.pick is not None or rule.labels is not None
        return f"it needs several values per row, the model gives {spec}" if needs else None
    size = spec.row_shape[-1]
    if by_class and size == 1:
        return f"{rule.transform} of a single value is always the same, the model gives {spec}"
    return _label_problem(rule, spec, size) or _pick_problem(rule, spec, size)


def _label_problem(rule: OutputRule, spec: OutputSpec, size: int | None) -> str | None:
    if rule.labels is None:
        return None
    if len(set(rule.labels)) != len(rule.labels):
        return "a label is listed twice"
    if size is not None and len(rule.labels) != size:
        return f"there are {len(rule.labels)} labels for the {size} values of {spec}"
    if len(spec.row_shape) > 1 and rule.transform != "argmax" and rule.pick is None:
        return f"labels need one list of values per row, the model gives {spec}"
    return None


def _pick_problem(rule: OutputRule, spec: OutputSpec, size: int | None) -> str | None:
    labels = rule.labels or ()
    if isinstance(rule.pick, str) and rule.pick not in labels:
        return f"pick = {rule.pick!r} is none of the labels ({', '.join(labels) or 'none are declared'})"
    if isinstance(rule.pick, int) and (rule.pick < 0 or (size is not None and rule.pick >= size)):
        return f"pick = {rule.pick} is out of range, the model gives {spec}"
    return None


def render(rules: Sequence[OutputRule], raw: dict[str, Output], n: int) -> list[bytes]:
    """The JSON object of each of the N rows, `b'{"late":0.23}'`; 0.08 µs a row for 1,000 of one scalar.

    Floats are written with the fewest digits that read back as the same value; NaN and infinity become null.
    `[N]` and `[N, 1]` give a scalar, `[N, k]` a list, `[N, H, W]` nested lists, a map an object.
    Raises PermanentError when an output does not have N rows or lacks what is picked.
    """
    for rule in rules:
        require_rows(rule, raw[rule.source], n)
    columns = [_texts(rule, raw[rule.source]) for rule in rules]
    return joined(tuple([rule.name for rule in rules]), columns) if columns else [b"{}"] * n


def _texts(rule: OutputRule, output: Output) -> list[bytes]:
    if isinstance(output, list):
        return _map_column(rule, output)
    output = transformed(rule, output)
    if rule.transform == "argmax":
        return _argmax(rule, output)
    if rule.pick is not None:
        return row_texts(picked(rule, output))
    if rule.labels is not None:
        return object_texts(rule.labels, output)
    return row_texts(output)


def require_rows(rule: OutputRule, output: Output, rows: int) -> None:
    """Raises PermanentError when an output does not have so many rows."""
    if len(output) != rows:
        raise PermanentError(f"output {rule.source!r} has {len(output)} rows, not {rows}")


def transformed(rule: OutputRule, output: Array) -> Array:
    """An output's values as a rule wants them; `argmax` takes them as they are. Raises PermanentError."""
    if rule.labels is not None and output.shape[-1] != len(rule.labels):
        raise PermanentError(f"output {rule.name!r}: {len(rule.labels)} labels for {output.shape[-1]} values")
    match rule.transform:
        case "softmax":
            return softmax(output)
        case "sigmoid":
            return sigmoid(output)
        case _:
            return output


def picked(rule: OutputRule, output: Array) -> Array:
    """The value that a rule picks from each row. Raises PermanentError where there is none."""
    position = (rule.labels or ()).index(rule.pick) if isinstance(rule.pick, str) else rule.pick
    if not output.ndim > 1 or position is None or position >= output.shape[-1]:
        raise PermanentError(f"output {rule.name!r}: nothing to pick at {rule.pick!r} in rows of {output.shape[1:]}")
    chosen: Array = output[..., position]
    return chosen


def _argmax(rule: OutputRule, output: Array) -> list[bytes]:
    """Position or label of the greatest value; null where a NaN leaves it undecided."""
    best = output.argmax(axis=-1)
    undecided = np.isnan(output).any(axis=-1)
    if rule.labels is None and not undecided.any():
        return row_texts(best)
    names = np.array(rule.labels if rule.labels is not None else range(output.shape[-1]), dtype=object)
    chosen = names[best]
    chosen[undecided] = None
    return label_texts(chosen.tolist())


def _map_column(rule: OutputRule, maps: list[dict[Any, float]]) -> list[bytes]:
    if rule.transform == "argmax":
        return label_texts(map(best_key, maps))
    if rule.pick is None:
        return map_texts(maps)
    keys = iter(maps[0]) if maps else iter(())
    pick = int(rule.pick) if isinstance(next(keys, None), int) else rule.pick
    try:
        return row_texts(np.fromiter((row[pick] for row in maps), np.float32, len(maps)))
    except KeyError:
        raise PermanentError(f"output {rule.name!r}: no {rule.pick!r} among {sorted(maps[0])}") from None


def best_key(values: dict[Any, float]) -> Any:
    """The class with the greatest value; None where a NaN leaves it undecided."""
    if not values or any(value != value for value in values.values()):  # noqa: PLR0124  (NaN)
        return None
    return max(values, key=values.__getitem__)


def softmax(values: Array) -> Array:
    """Softmax over the last axis in the values' own precision, shifted by the maximum: nothing overflows."""
    values = _at_least_float32(values)
    with np.errstate(invalid="ignore", under="ignore"):
        powers = np.exp(values - values.max(axis=-1, keepdims=True))
        shares: Array = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def sigmoid(values: Array) -> Array:
    """The logistic function in the values' own precision; never exponentiates a positive number."""
    values = _at_least_float32(values)
    with np.errstate(under="ignore"):
        powers = np.exp(-np.abs(values))
        share: Array = np.where(values >= 0, 1, powers) / (1 + powers)
    return share


def _at_least_float32(values: Array) -> Array:
    return values if values.dtype.itemsize >= 4 else values.astype(np.float32)


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()
