"""The protocol's names of element types, and ours."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from precompute.signature import Shape

#: By our names, which are NumPy's, and `string`.
DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "string": "BYTES",
}
#: Has no form in JSON.
BINARY_ONLY = "float16"


def shown_shape(shape: Shape) -> list[int]:
    """A shape as the protocol writes it: -1 where the model takes any size."""
    return [-1 if size is None else size for size in shape]


def elements(shape: Sequence[int]) -> int:
    """How many a shape holds."""
    return prod(shape)
