"""Views: named groups of typed features, and what to do when a value is not there."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from math import prod

import numpy as np

#: Scalar types of a feature -> bytes of one element (`string` is stored behind the fixed part, hence 0).
KINDS = {
    "float32": 4,
    "float64": 8,
    "int32": 4,
    "int64": 8,
    "uint8": 1,
    "bool": 1,
    "string": 0,
}
#: A row travels whole in one reply; this holds a 512 x 512 RGB image and stops accidents.
MAX_FIELD_BYTES = 1 << 20

_TYPE = re.compile(r"(?P<kind>[a-z]+[0-9]*)(?:\[(?P<shape>\s*\d+\s*(?:,\s*\d+\s*)*)\])?")

Scalar = float | int | bool | str


class Missing(enum.Enum):
    """What the predictor does where a row, a field or a number is missing."""

    ERROR = "error"
    NAN = "nan"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Field:
    """One feature: `kind` of each element, `shape` without the batch axis (`()` for a scalar)."""

    name: str
    kind: str
    shape: tuple[int, ...] = ()
    missing: Missing = Missing.ERROR
    default: Scalar | None = None

    @property
    def size(self) -> int:
        """Elements per row."""
        return prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether a NaN can stand in this field, and then counts as missing."""
        return self.kind.startswith("float")

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Element type as NumPy knows it; strings are Python objects."""
        return np.dtype(object if self.kind == "string" else self.kind)

    def fill_value(self) -> Scalar | None:
        """What stands for a missing value, or None where the policy is `error`."""
        return float("nan") if self.missing is Missing.NAN else self.default

    def __str__(self) -> str:
        return f"{self.kind}[{','.join(map(str, self.shape))}]" if self.shape else self.kind


@dataclass(frozen=True, slots=True)
class View:
    """A named group of features that change together, one row for each entity."""

    name: str
    entity: str
    fields: tuple[Field, ...]
    max_age_s: float | None = None
    #: How far an event may lie ahead of the clock of whoever puts it; a row from the future outdates all that come.
    max_skew_s: float = 300.0
    #: How soon after a change nothing made from the row before may be given as fresh any more; None if nobody cares.
    sla_s: float | None = None
    #: Share of the changes for which that shall be so.
    objective: float = 0.99

    def field(self, name: str) -> Field | None:
        """The field of that name, if there is one."""
        return next((f for f in self.fields if f.name == name), None)

    def of(self, name: str) -> Field:
        """The field of that name, which the manifest has promised; raises KeyError."""
        if found := self.field(name):
            return found
        raise KeyError(name)


def parse_type(text: str) -> tuple[str, tuple[int, ...]]:
    """Splits `float32[8]` into kind and shape.

    Raises:
        ValueError: with a sentence that lists what is possible.
    """
    match = _TYPE.fullmatch(text.strip())
    if match is None or match["kind"] not in KINDS:
        kinds = ", ".join(KINDS)
        raise ValueError(f"unknown type {text!r}; one of {kinds}, numbers also as float32[8] or uint8[28,28]")
    shape = tuple(int(n) for n in match["shape"].split(",")) if match["shape"] else ()
    kind = match["kind"]
    if shape and kind == "string":
        raise ValueError("a string feature holds one value; vectors are of numbers")
    if 0 in shape:
        raise ValueError(f"{text!r} has an empty axis")
    if prod(shape) * KINDS[kind] > MAX_FIELD_BYTES:
        raise ValueError(f"{text!r} is larger than {MAX_FIELD_BYTES} bytes")
    return kind, shape
