"""Elements of a tensor in JSON: flat in row-major order, or nested as its shape says.

Each element must be what the type says; nothing is rounded or made of something else. JSON has no NaN, so that null
stands for one among floats, as it does in our answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from types import GenericAlias
from typing import Any

import msgspec
import numpy as np

from edge.api.oip.datatypes import BINARY_ONLY, DATATYPES, elements
from precompute.errors import InvalidRequest
from precompute.signature import Array

_ELEMENTS: dict[str, Any] = {"b": bool, "i": int, "u": int, "f": float | None, "O": str}


def numpy_dtype(dtype: str) -> np.dtype[Any]:
    """What an array of one of our types has."""
    return np.dtype(object if dtype == "string" else dtype)


@lru_cache(maxsize=64)
def _decoder(kind: str, depth: int) -> msgspec.json.Decoder[Any]:
    wanted: Any = _ELEMENTS[kind]
    for _ in range(depth):
        wanted = GenericAlias(list, (wanted,))
    return msgspec.json.Decoder(wanted)


def json_array(name: str, data: bytes, dtype: str, shape: Sequence[int]) -> Array:
    """The array of an input's `data`.

    Raises:
        InvalidRequest: an element is of another type or does not fit it, or they are not as many as the shape says.
    """
    nested = len(shape) > 1 and data.lstrip()[1:].lstrip().startswith(b"[")
    array = nested_array(name, data, dtype, len(shape) if nested else 1)
    if nested and array.shape != tuple(shape):
        raise InvalidRequest(f"input {name!r}: data is nested as {list(array.shape)}, shape says {list(shape)}")
    if array.size != elements(shape):
        wanted = f"shape {list(shape)} wants {elements(shape)}"
        raise InvalidRequest(f"input {name!r}: data has {array.size} elements, {wanted}")
    return array.reshape(shape)


def nested_array(name: str, data: bytes, dtype: str, depth: int) -> Array:
    """The array of lists in so many levels; raises as `json_array` does."""
    if dtype == BINARY_ONLY:
        raise InvalidRequest(f"input {name!r}: {DATATYPES[dtype]} has no form in JSON; send it as binary data")
    target = numpy_dtype(dtype)
    try:
        values = _decoder(target.kind, depth).decode(data)
        # A double beyond float32 becomes infinity, as it does in every float32 model.
        with np.errstate(over="ignore"):
            array: Array = np.array(values, target)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, OverflowError) as error:
        raise InvalidRequest(f"input {name!r}: data is no {DATATYPES[dtype]} tensor: {_reason(error)}") from None
    if array.ndim != depth:
        # Lists of different lengths, which an array of objects holds as they are.
        raise InvalidRequest(f"input {name!r}: the lists of data differ in length")
    return array


def _reason(error: Exception) -> str:
    text = str(error)
    return "its lists differ in length" if "inhomogeneous" in text else text
