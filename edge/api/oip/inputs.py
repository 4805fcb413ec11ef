"""From the body of `infer` to what the model is fed, each step refusing what does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from edge.api.oip.binary_tensors import binary_array
from edge.api.oip.datatypes import DATATYPES, shown_shape
from edge.api.oip.decoding import decoded
from edge.api.oip.json_tensors import json_array
from edge.api.oip.shapes import InferRequest, Parameters, RequestInput
from precompute.errors import InvalidRequest
from precompute.signature import Array, Signature, TensorSpec

_DECODER = msgspec.json.Decoder(InferRequest)
_SHARED_MEMORY = "shared_memory_region"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A body of so many bytes, taken apart: the JSON, and the bytes behind it."""

    request: InferRequest
    binary: memoryview
    size: int = 0

    @property
    def parameters(self) -> Parameters:
        """Those of the request."""
        return self.request.parameters or {}

    @property
    def inputs(self) -> Sequence[RequestInput]:
        """The tensors it brings along."""
        return self.request.inputs or ()


def parse(body: bytes, header_length: bytes | None) -> Parsed:
    """Takes a body apart.

    Args:
        header_length: what `Inference-Header-Content-Length` says, if it is there.

    Raises:
        InvalidRequest: the header is no length within the body, or the JSON is none of a request.
    """
    length = len(body)
    if header_length is not None:
        text = header_length.strip()
        if not text.isdigit() or len(text) > 18 or int(text) > len(body):
            what = f"no length within a body of {len(body)} bytes"
            raise InvalidRequest(f"Inference-Header-Content-Length {header_length[:40]!r} is {what}")
        length = int(text)
    return Parsed(decoded(_DECODER, body[:length], "the request's JSON"), memoryview(body)[length:], len(body))


def feeds_of(parsed: Parsed, signature: Signature, max_rows: int) -> tuple[dict[str, Array], int]:
    """One array for each input of the model, in its order, `[N, ...]` each; and N.

    What has no batch axis in the model holds for all rows, and is given once for each.

    Raises:
        InvalidRequest: inputs that are missing, unknown, there twice, or not what the model takes; too many rows.
    """
    specs = {spec.name: spec for spec in signature.inputs}
    given = _once(parsed.inputs, specs)
    for each in given.values():
        _check(each, specs[each.name])
    rows = _rows(given, specs, max_rows)
    arrays = _arrays(parsed, specs)
    return {
        name: arrays[name] if spec.batched else np.broadcast_to(arrays[name].reshape(()), (rows,))
        for name, spec in specs.items()
    }, rows


def _once(inputs: Sequence[RequestInput], specs: dict[str, TensorSpec]) -> dict[str, RequestInput]:
    given: dict[str, RequestInput] = {}
    for each in inputs:
        if each.name not in specs:
            raise InvalidRequest(f"the model has no input {each.name!r:.80}; it has: {', '.join(specs)}")
        if each.name in given:
            raise InvalidRequest(f"input {each.name!r} is given twice")
        given[each.name] = each
    missing = [name for name in specs if name not in given]
    if missing:
        raise InvalidRequest(f"input {missing[0]!r} is missing; the model takes: {', '.join(specs)}")
    return given


def _check(given: RequestInput, spec: TensorSpec) -> None:
    """Type and shape, before any element is looked at."""
    wanted = DATATYPES[spec.dtype]
    if given.datatype != wanted:
        raise InvalidRequest(f"input {spec.name!r} has datatype {given.datatype!r:.40}, the model takes {wanted}")
    shape = given.shape
    if not spec.batched:
        if shape not in ([], [1]):
            raise InvalidRequest(f"input {spec.name!r} has shape {_brief(shape)}, the model takes a scalar: [] or [1]")
        return
    row_fits = len(shape) == len(spec.shape) and all(
        size > 0 and want in (None, size) for want, size in zip((None, *spec.row_shape), shape, strict=True)
    )
    if not row_fits:
        takes = [-1, *shown_shape(spec.row_shape)]
        raise InvalidRequest(f"input {spec.name!r} has shape {_brief(shape)}, the model takes {takes}")


def _brief(shape: list[int]) -> str:
    return str(shape) if len(shape) <= 16 else f"of {len(shape)} sizes"


def _rows(given: dict[str, RequestInput], specs: dict[str, TensorSpec], max_rows: int) -> int:
    counts = {name: each.shape[0] for name, each in given.items() if specs[name].batched}
    if len(set(counts.values())) > 1:
        raise InvalidRequest(f"the inputs disagree on the number of rows: {counts}")
    rows = next(iter(counts.values()), 1)
    if rows > max_rows:
        raise InvalidRequest(f"a request holds 1 to {max_rows} rows, this one {rows}")
    return rows


def _arrays(parsed: Parsed, specs: dict[str, TensorSpec]) -> dict[str, Array]:
    arrays, at = {}, 0
    for each in parsed.inputs:
        dtype, parameters = specs[each.name].dtype, each.parameters or {}
        if _SHARED_MEMORY in parameters:
            raise InvalidRequest(f"input {each.name!r}: shared memory is not served; send the data")
        data, size = bytes(each.data), parameters.get("binary_data_size")
        data = b"" if data == b"null" else data
        if size is None:
            if not data:
                raise InvalidRequest(f"input {each.name!r} has neither data nor binary_data_size")
            arrays[each.name] = json_array(each.name, data, dtype, each.shape)
            continue
        if data:
            raise InvalidRequest(f"input {each.name!r} has both data and binary_data_size")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(parsed.binary) - at:
            left = len(parsed.binary) - at
            raise InvalidRequest(f"input {each.name!r}: binary_data_size {size!r:.40}, but {left} bytes are left")
        arrays[each.name] = binary_array(each.name, parsed.binary[at : at + size], dtype, each.shape)
        at += size
    if at != len(parsed.binary):
        raise InvalidRequest(f"{len(parsed.binary) - at} bytes stand behind the binary data of all inputs")
    return arrays
