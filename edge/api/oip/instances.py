"""KServe's v1 door: `{"instances": [...]}` in, a prediction for each out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from edge.api.oip.decoding import decoded
from edge.api.oip.json_tensors import nested_array
from edge.api.oip.shapes import Instances
from precompute.errors import InvalidRequest
from precompute.output_tensors import AnswerSpec
from precompute.signature import Array, Signature, TensorSpec

_DECODER = msgspec.json.Decoder(Instances)
_BY_NAME = msgspec.json.Decoder(dict[str, msgspec.Raw])


def feeds_of_instances(body: bytes, signature: Signature, max_rows: int) -> tuple[dict[str, Array], int]:
    """One array for each input of the model, `[N, ...]` each; and N.

    An instance is an object of inputs by name. Where there is one input only, it may be its value.

    Raises:
        InvalidRequest: not written like this, or not what the model takes.
    """
    instances = decoded(_DECODER, body, 'the body must be JSON like {"instances": [...]}').instances
    if not 1 <= len(instances) <= max_rows:
        raise InvalidRequest(f"a request holds 1 to {max_rows} instances, this one {len(instances)}")
    texts = [bytes(instance).strip() for instance in instances]
    specs = signature.inputs
    if len(specs) == 1 and not texts[0].startswith(b"{"):
        return {specs[0].name: _column(specs[0], texts)}, len(texts)
    rows = [_by_name(text, specs) for text in texts]
    return {spec.name: _column(spec, [row[spec.name] for row in rows]) for spec in specs}, len(texts)


def _by_name(text: bytes, specs: Sequence[TensorSpec]) -> dict[str, bytes]:
    names = {spec.name for spec in specs}
    row = decoded(_BY_NAME, text, f"an instance is an object of inputs by name ({', '.join(names)})")
    if row.keys() != names:
        odd = sorted(row.keys() ^ names)[0]
        what = "is missing from an instance" if odd in names else "is no input of the model"
        raise InvalidRequest(f"{odd!r:.80} {what}; it takes: {', '.join(spec.name for spec in specs)}")
    return {name: bytes(value) for name, value in row.items()}


def _column(spec: TensorSpec, texts: Sequence[bytes]) -> Array:
    # A single value need not stand in as many brackets as the model has axes.
    depth = max(len(spec.shape), 1) if texts[0].startswith(b"[") else 1
    array = nested_array(spec.name, b"[" + b",".join(texts) + b"]", spec.dtype, depth)
    if not array.size or not spec.accepts_row(array.shape[1:]):
        row = list(array.shape[1:])
        raise InvalidRequest(f"input {spec.name!r}: a row has shape {row}, the model takes {spec.kind}")
    return spec.fit(array) if spec.batched else array


def predictions(specs: Sequence[AnswerSpec], outputs: Mapping[str, Array]) -> list[Any]:
    """A row each: an object of outputs by name, or the value of the only output; NaN and infinity become null."""
    columns = {spec.name: _rows(outputs[spec.name]) for spec in specs}
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _rows(array: Array) -> list[Any]:
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    # Arrays, which orjson writes with the fewest digits that read back as the same value.
    return array.tolist() if array.dtype.kind == "O" else list(np.ascontiguousarray(array))
