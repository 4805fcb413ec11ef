"""Elements of a tensor as bytes: little-endian, in row-major order; BYTES with their length in front, of four bytes."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from edge.api.oip.datatypes import elements
from edge.api.oip.json_tensors import numpy_dtype
from precompute.errors import InvalidRequest
from precompute.signature import Array

_LENGTH = struct.Struct("<I")


def binary_array(name: str, data: memoryview, dtype: str, shape: Sequence[int]) -> Array:
    """The array in an input's bytes.

    Raises:
        InvalidRequest: they are not as many as type and shape say, or no such elements.
    """
    count = elements(shape)
    if dtype == "string":
        return np.array(_texts(name, data, count), object).reshape(shape)
    target = numpy_dtype(dtype)
    if len(data) != count * target.itemsize:
        wanted = f"{target.itemsize} bytes each of shape {list(shape)} are {count * target.itemsize}"
        raise InvalidRequest(f"input {name!r}: binary data has {len(data)} bytes, {wanted}")
    if dtype == "bool" and count and np.frombuffer(data, np.uint8).max() > 1:
        raise InvalidRequest(f"input {name!r}: a BOOL is a byte of 0 or 1")
    # Behind a header of any length nothing is aligned, and models are entitled to that.
    return np.require(np.frombuffer(data, target), requirements=["A"]).reshape(shape)


def _texts(name: str, data: memoryview, count: int) -> list[str]:
    if len(data) < count * _LENGTH.size:
        raise InvalidRequest(f"input {name!r}: {len(data)} bytes are too few for {count} BYTES elements")
    texts: list[str] = []
    at = 0
    for _ in range(count):
        if at + _LENGTH.size > len(data):
            raise InvalidRequest(f"input {name!r}: binary data ends before its {count} elements do")
        start = at + _LENGTH.size
        at = start + _LENGTH.unpack_from(data, at)[0]
        if at > len(data):
            raise InvalidRequest(f"input {name!r}: element {len(texts)} is said to end {at - len(data)} bytes too late")
        try:
            texts.append(str(data[start:at], "utf-8"))
        except UnicodeDecodeError:
            raise InvalidRequest(f"input {name!r}: element {len(texts)} is not UTF-8, as models want text") from None
    if at != len(data):
        raise InvalidRequest(f"input {name!r}: {len(data) - at} bytes stand behind its {count} elements")
    return texts


def binary_data(array: Array) -> bytes:
    """The bytes of an array."""
    if array.dtype.kind != "O":
        return array.tobytes()
    texts = [str(text).encode() for text in array.reshape(-1).tolist()]
    return b"".join([part for text in texts for part in (_LENGTH.pack(len(text)), text)])
