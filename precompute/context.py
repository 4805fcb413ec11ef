"""Context: request-time features, typed and range-checked, with one spelling each.

The spelling becomes part of the cache key, so `hour=3`, `hour=03` and a left-out default of 3 meet in one
entry. It stands behind the `?` of a URL as it is: `+`, a space to form decoders, is never in it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from precompute.errors import InvalidContext, InvalidKey
from precompute.key_text import MAX_KEY_BYTES, escape_part, unescape_part
from precompute.views import Scalar

#: Parameters of a request itself: in a URL, a context of that name could not be told from them.
RESERVED = ("variant", "budget_ms")


@dataclass(frozen=True, slots=True)
class ContextField:
    """One request-time feature; without a default it must be given."""

    name: str
    kind: str
    default: Scalar | None = None
    min: float | None = None
    max: float | None = None
    choices: tuple[Scalar, ...] = ()

    def parse(self, raw: object) -> Scalar:
        """The typed value of what a client sent, text or JSON.

        Raises:
            InvalidContext: not of the declared type, or out of range.
        """
        value = typed(self.kind, raw)
        if value is None or value == "":
            raise InvalidContext(f"context {self.name}={raw!r:.80} is not a {self.kind}")
        if self.choices and value not in self.choices:
            shown = ", ".join(map(str, self.choices))
            raise InvalidContext(f"context {self.name}={value!r:.80} is not one of: {shown:.400}")
        if not isinstance(value, str) and not self._is_within(value):
            low, high = ("" if bound is None else f"{bound:g}" for bound in (self.min, self.max))
            raise InvalidContext(f"context {self.name}={value} is outside [{low}, {high}]")
        return value

    def _is_within(self, value: float) -> bool:
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)

    @staticmethod
    def spell(value: Scalar) -> str:
        """The one text of a value."""
        if isinstance(value, bool):
            return "true" if value else "false"
        text = escape_part(value) if isinstance(value, str) else repr(value).replace("e+", "e")
        return text.replace("+", "~2B")


def typed(kind: str, raw: object) -> Scalar | None:
    """What a client or a project file wrote, as text or as itself, in a feature's type; None if it is not one."""
    try:
        match kind:
            case "string" if isinstance(raw, str):
                return raw.encode().decode()
            case "bool" if isinstance(raw, str | int) and raw in _BOOLS:
                return _BOOLS[raw]
            case "int32" | "int64" | "uint8" if isinstance(raw, str | int) and not isinstance(raw, bool):
                return _integer(kind, int(raw))
            case "float32" | "float64" if isinstance(raw, str | int | float) and not isinstance(raw, bool):
                return _real(kind, float(raw))
    except (ValueError, OverflowError):
        pass
    return None


_BOOLS: Mapping[str | int, bool] = {"true": True, "1": True, 1: True, "false": False, "0": False, 0: False}


def _integer(kind: str, value: int) -> int | None:
    limits = np.iinfo(kind)
    return value if limits.min <= value <= limits.max else None


def _real(kind: str, value: float) -> float | None:
    if kind == "float32":
        struct.pack("<f", value)  # raises where it would overflow
        # The shortest text of the same float32, so that 0.1 and 0.10000000149 are one key.
        value = float(str(np.float32(value)))
    # Adding zero makes -0.0 and 0.0 one key.
    return value + 0.0 if np.isfinite(value) else None


def parse_context(
    fields: tuple[ContextField, ...],
    query: str,
    given: Mapping[str, object],
    shared: Mapping[str, object] = MappingProxyType({}),
) -> tuple[Scalar, ...]:
    """Values for all fields, in declared order, from a key's `?` part and what the request adds.

    Args:
        given: beside the key.
        shared: for all keys of the request; what a key brings itself counts more.

    Raises:
        InvalidContext: unknown or repeated names, missing values, wrong types.
    """
    values: dict[str, object] = {}
    for name, raw in [*_pairs(query), *given.items()]:
        if name in values:
            raise InvalidContext(f"context {name!r} is given twice")
        values[name] = raw
    values = {**shared, **values}
    known = {f.name: f for f in fields}
    for name in values:
        if name not in known:
            raise InvalidContext(f"unknown context {name!r}; this model takes: {', '.join(known) or 'none'}")
    return tuple(_value(f, values) for f in fields)


def _pairs(query: str) -> list[tuple[str, str]]:
    """The pairs behind the `?` of a key, which is spelled by us and not URL-encoded."""
    try:
        split = [pair.partition("=") for pair in query.split("&") if pair]
        return [(name, unescape_part(value)) for name, _, value in split]
    except InvalidKey as error:
        raise InvalidContext(str(error)) from None


def _value(field: ContextField, values: Mapping[str, object]) -> Scalar:
    if field.name in values:
        return field.parse(values[field.name])
    if field.default is None:
        raise InvalidContext(f"context {field.name!r} ({field.kind}) is required")
    return field.default


def canonical_context(fields: tuple[ContextField, ...], values: tuple[Scalar, ...]) -> str:
    """`name=value` pairs sorted by name, as they stand in the key.

    Raises:
        InvalidContext: the text would not fit a key.
    """
    text = "&".join(sorted(f"{f.name}={f.spell(v)}" for f, v in zip(fields, values, strict=True)))
    if len(text.encode()) > MAX_KEY_BYTES:
        raise InvalidContext(f"context is longer than {MAX_KEY_BYTES} bytes")
    return text
