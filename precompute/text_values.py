"""Feature values written as text, in CSV cells and on command lines.

An empty text is a missing value. Numbers as Python writes them, without `_`; truth as true/false, yes/no, t/f, y/n
or 1/0. Vectors as a JSON array, nested or flat, or as numbers between semicolons: `0.5;1;2`; flat ones are taken in
row-major order.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from precompute.errors import RowRejected
from precompute.views import Field

#: None for missing.
Parser = Callable[[str], object]

_TRUTH = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}


def parser(field: Field) -> Parser:
    """How to read this field; the parser raises RowRejected where the text means nothing."""
    if field.shape:
        return lambda text: _guarded(field, _vector, text)
    if field.kind == "string":
        return lambda text: text or None
    if field.is_float:
        return lambda text: _float(field, text)
    return lambda text: _guarded(field, _bool if field.kind == "bool" else _int, text)


def _float(field: Field, text: str) -> float | None:
    # The common case comes first: this is called for each cell of a file.
    try:
        if "_" not in text:
            return float(text)
    except ValueError:
        if not text or text.isspace():
            return None
    raise _wrong(field, text)


def _guarded(field: Field, parse: Callable[[Field, str], object], text: str) -> object:
    if not text or text.isspace():
        return None
    try:
        return parse(field, text)
    except (ValueError, KeyError, OverflowError, msgspec.DecodeError):
        raise _wrong(field, text) from None


def _bool(_: Field, text: str) -> bool:
    return _TRUTH[text.strip().lower()]


def _int(_: Field, text: str) -> int | float:
    if "_" in text:
        raise ValueError(text)
    try:
        return int(text)
    except ValueError:
        # A column of whole numbers with gaps comes out of many tools as 3.0.
        return float(text)


def _vector(field: Field, text: str) -> object:
    stripped = text.strip()
    if stripped.startswith("["):
        return unflattened(field, msgspec.json.decode(stripped))
    numbers: list[object] = [_int(field, part) for part in stripped.split(";")]
    return unflattened(field, numbers)


def unflattened(field: Field, value: object) -> object:
    """A flat list in the field's shape, row-major; anything else as it is."""
    if len(field.shape) < 2 or not isinstance(value, list | np.ndarray) or len(value) != field.size:
        return value
    if isinstance(value, list) and any(isinstance(item, list) for item in value):
        return value
    return np.asarray(value).reshape(field.shape)


def _wrong(field: Field, text: str) -> RowRejected:
    return RowRejected(f"{field.name}: {text!r:.60} is not a {field}")
