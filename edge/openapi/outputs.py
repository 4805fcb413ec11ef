"""JSON Schemas of a model's outputs, as `precompute.outputs.render` writes them, and which of them can be ranked by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.openapi.schemas import Schema, one_of, record
from edge.scores import Score
from precompute.outputs import OutputRule
from precompute.signature import OutputSpec, Shape, Signature

#: NaN and infinity become null.
_NUMBER: Schema = {"type": ["number", "null"]}
_POSITION: Schema = {"type": ["integer", "null"]}
_INTEGER: Schema = {"type": "integer"}
_NUMBERS = (_NUMBER, _POSITION, _INTEGER)


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of a version that is loaded."""

    rules: Sequence[OutputRule]
    signature: Signature

    def schema(self) -> Schema:
        """All of them; none is sure to be there, because a declared default may leave some out."""
        specs = {spec.name: spec for spec in self.signature.outputs}
        return record({rule.name: _value(rule, specs[rule.source]) for rule in self.rules}, ())

    def score(self) -> Score | None:
        """The first number among them."""
        for name, schema in self.schema()["properties"].items():
            if schema in _NUMBERS:
                return Score(name)
            if schema.get("items") in _NUMBERS:
                return Score(name, 0)
            label, first = next(iter(schema.get("properties", {}).items()), ("", None))
            if first in _NUMBERS:
                return Score(name, label)
        return None


def _value(rule: OutputRule, spec: OutputSpec) -> Schema:
    if rule.transform == "argmax":
        return _best(rule, spec)
    if spec.kind == "maps":
        return _NUMBER if rule.pick is not None else {"type": "object", "additionalProperties": _NUMBER}
    scalar, shape = _scalar(spec.dtype), spec.row_shape
    if rule.pick is not None:
        return _nested(scalar, shape[:-1])
    if rule.labels is not None:
        return record(dict.fromkeys(rule.labels, scalar))
    return _nested(scalar, shape)


def _best(rule: OutputRule, spec: OutputSpec) -> Schema:
    if rule.labels is not None:
        return _nested(one_of([*rule.labels, None]), spec.row_shape[:-1])
    if spec.kind == "maps":
        return {"type": ["string", "null"]} if spec.keys == "string" else _POSITION
    return _nested(_POSITION, spec.row_shape[:-1])


def _scalar(dtype: str) -> Schema:
    if dtype in ("string", "bool"):
        return {"type": {"string": "string", "bool": "boolean"}[dtype]}
    return _NUMBER if dtype.startswith("float") else _INTEGER


def _nested(scalar: Schema, shape: Shape) -> Schema:
    """Lists in lists; a lone value stands by itself, and a size that the model leaves open may be one."""
    if not shape or shape == (1,):
        return scalar
    schema = scalar
    for size in reversed(shape):
        schema = {"type": "array", "items": schema} | ({} if size is None else {"minItems": size, "maxItems": size})
    return {"anyOf": [scalar, schema]} if shape == (None,) else schema
