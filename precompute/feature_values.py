"""One feature value at a time: is it what the view declares, and what goes into the packed row."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from precompute.errors import RowRejected
from precompute.views import Field, Missing

#: Stands before each packed text: its length in bytes.
TEXT_LENGTH = struct.Struct("<H")
NO_TEXT = TEXT_LENGTH.pack(0)
MAX_STRING_BYTES = 0xFFFF

_INTEGER = int | np.integer
_REAL = float | np.floating
_NUMBER = _INTEGER | _REAL
_GREATEST = {kind: float(np.finfo(kind).max) for kind in ("float32", "float64")}


def packer(field: Field) -> Callable[[object], Any]:
    """How one value becomes what `struct` takes, or a packed text; None becomes the filler. Raises RowRejected."""
    if field.kind == "string":
        return lambda value: _text(field, value)
    if field.shape:
        return lambda value: _vector(field, value)
    if field.is_float:
        return lambda value: math.nan if value is None else _real(field, value)
    if field.kind == "bool":
        return lambda value: False if value is None else _bool(field, value)
    return lambda value: 0 if value is None else _integer(field, value)


def _wrong(field: Field, value: object) -> RowRejected:
    return RowRejected(f"{field.name}: {value!r:.60} is not a {field}")


def _too_large(field: Field, value: object) -> RowRejected:
    return RowRejected(f"{field.name}: {value!r:.60} does not fit a {field}")


def _real(field: Field, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, _NUMBER):
        raise _wrong(field, value)
    try:
        number = float(value)
    except OverflowError:
        raise _too_large(field, value) from None
    if abs(number) > _GREATEST[field.kind]:
        raise _too_large(field, value)
    return number


def _bool(field: Field, value: object) -> bool:
    if isinstance(value, bool | np.bool_) or (isinstance(value, _INTEGER) and value in (0, 1)):
        return bool(value)
    raise _wrong(field, value)


def _integer(field: Field, value: object) -> int:
    whole = isinstance(value, _INTEGER) or (isinstance(value, _REAL) and float(value).is_integer())
    if isinstance(value, bool) or not whole:
        raise _wrong(field, value)
    number: int = int(value)  # type: ignore[call-overload]
    limits = np.iinfo(field.kind)
    if not limits.min <= number <= limits.max:
        raise _too_large(field, value)
    return number


def _text(field: Field, value: object) -> bytes:
    if value is None:
        return NO_TEXT
    if not isinstance(value, str):
        raise _wrong(field, value)
    try:
        data = value.encode()
    except UnicodeEncodeError:
        raise _wrong(field, value) from None
    if len(data) > MAX_STRING_BYTES:
        raise RowRejected(f"{field.name}: text of {len(data)} bytes; {MAX_STRING_BYTES} is the limit")
    return TEXT_LENGTH.pack(len(data)) + data


def _vector(field: Field, value: object) -> bytes:
    if value is None:
        filler = math.nan if field.is_float else 0
        return np.full(field.shape, filler, field.kind).tobytes()
    array = _elements(field, value)
    if array.shape != field.shape:
        raise RowRejected(f"{field.name}: shape {list(array.shape)} where {field} is declared")
    if field.is_float and np.isinf(array).any():
        raise RowRejected(f"{field.name}: holds infinity, which is no value")
    if field.is_float and field.missing is Missing.ERROR and np.isnan(array).any():
        raise RowRejected(f"{field.name}: holds NaN and has no policy for that")
    return array.tobytes()


def _elements(field: Field, value: object) -> NDArray[Any]:
    """The elements in the field's type, each worth what was given; None among floats is NaN."""
    try:
        given = np.asarray(value)
        if field.is_float and given.dtype == object and all(v is None or isinstance(v, _NUMBER) for v in given.flat):
            given = given.astype(np.float64)
        with np.errstate(over="raise", invalid="raise"):
            array: NDArray[Any] = given.astype(field.kind)
    except (ValueError, TypeError, OverflowError, FloatingPointError):
        raise _wrong(field, value) from None
    if given.dtype.kind not in "buif" or (not field.is_float and not np.array_equal(array, given)):
        raise _wrong(field, value)
    return array
