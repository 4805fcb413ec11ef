"""Elements of a tensor in JSON: flat in row-major order, or nested as its shape says.

Each element must be what the type says; nothing is rounded or made of something else. JSON has no NaN, so that null
stands for one among floats, as it does in our answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from types import GenericAlias
from typing import Any

import msgspec
import numpy as np

from edge.api.oip.datatypes import BINARY_ONLY, DATATYPES, elements
from edge.api.oip.decoding import decoded
from precompute.errors import InvalidRequest
from precompute.signature import Array

#: While so many lists are made, which takes 17 ms, nobody else gets a turn, whichever thread makes them.
_MOST_LISTS = 1 << 16
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
    target, what = numpy_dtype(dtype), f"input {name!r}: data is no {DATATYPES[dtype]} tensor"
    if depth > 1 and data.count(b"[") > _MOST_LISTS:
        raise InvalidRequest(
            f"{what}: it is nested in more than {_MOST_LISTS:,} lists; send it flat, or as binary data"
        )
    values, shape = _flat(decoded(_decoder(target.kind, depth), data, what), depth, what)
    try:
        # A double beyond float32 becomes infinity, as it does in every float32 model.
        with np.errstate(over="ignore"):
            array: Array = np.array(values, target)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(f"{what}: {error}") from None
    return array.reshape(shape)


def _flat(values: list[Any], depth: int, what: str) -> tuple[list[Any], list[int]]:
    """All elements in order, and the shape they were in; NumPy takes ten times as long for the same."""
    shape = [len(values)]
    for _ in range(depth - 1):
        lengths = set(map(len, values))
        if len(lengths) > 1:
            raise InvalidRequest(f"{what}: its lists differ in length")
        shape.append(lengths.pop() if lengths else 0)
        values = list(chain.from_iterable(values))
    return values, shape
