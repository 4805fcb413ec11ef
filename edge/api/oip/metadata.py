"""What the server and its models say of themselves."""

from __future__ import annotations

from importlib.metadata import version

import msgspec

from edge.api.oip.datatypes import DATATYPES, shown_shape
from edge.api.oip.shapes import ModelMetadata, ServerMetadata, TensorMetadata
from edge.batch_lane import MAX_BATCH
from precompute.output_tensors import AnswerSpec, answer_specs
from precompute.predictor import Servable
from precompute.signature import Shape, TensorSpec

_EXTENSIONS = ["binary_tensor_data", "model_configuration", "model_repository", "parameters", "statistics"]
_PLATFORM = "onnxruntime_onnx"


def server_metadata() -> ServerMetadata:
    """Who answers."""
    return ServerMetadata("nearcast", version("nearcast"), _EXTENSIONS)


def model_metadata(servable: Servable, versions: list[int]) -> ModelMetadata:
    """What a model takes and gives; with declared outputs, those."""
    specs = answer_specs(servable.rules, servable.session.signature)
    return ModelMetadata(
        servable.model.name,
        [str(number) for number in versions],
        _PLATFORM,
        [_input(spec) for spec in servable.session.signature.inputs],
        [_output(spec) for spec in specs],
    )


def _input(spec: TensorSpec) -> TensorMetadata:
    shape = [-1, *shown_shape(spec.row_shape)] if spec.batched else []
    return TensorMetadata(spec.name, DATATYPES[spec.dtype], shape)


def _output(spec: AnswerSpec) -> TensorMetadata:
    labels = {"labels": msgspec.json.encode(spec.labels).decode()} if spec.labels else {}
    batch = [-1] if spec.batched else []
    return TensorMetadata(spec.name, DATATYPES[spec.dtype], [*batch, *shown_shape(spec.row_shape)], {**labels})


def model_config(servable: Servable, max_rows: int) -> dict[str, object]:
    """The configuration as Triton would write it; `max_rows` is what one request may hold."""
    signature = servable.session.signature
    specs = answer_specs(servable.rules, signature)
    batched = all(spec.batched for spec in signature.inputs) and all(spec.batched for spec in specs)
    return {
        "name": servable.model.name,
        "platform": _PLATFORM,
        "backend": "onnxruntime",
        "version_policy": {"specific": {"versions": [servable.version]}},
        "max_batch_size": max_rows if batched else 0,
        "input": [
            _tensor(spec.name, spec.dtype, spec.row_shape, batched=batched, has_rows=spec.batched)
            for spec in signature.inputs
        ],
        "output": [
            _tensor(spec.name, spec.dtype, spec.row_shape, batched=batched, has_rows=spec.batched) for spec in specs
        ],
        "dynamic_batching": {"preferred_batch_size": [MAX_BATCH]},
        "parameters": {"variant": {"string_value": servable.variant}, "sha256": {"string_value": servable.sha256}},
    }


def _tensor(name: str, dtype: str, row_shape: Shape, *, batched: bool, has_rows: bool) -> dict[str, object]:
    kind = DATATYPES[dtype]
    found: dict[str, object] = {"name": name, "data_type": "TYPE_STRING" if kind == "BYTES" else f"TYPE_{kind}"}
    dims = shown_shape(row_shape)
    if not batched and has_rows:
        dims = [-1, *dims]
    if dims:
        return {**found, "dims": dims}
    # Triton's way of saying that there are no sizes.
    return {**found, "dims": [1], "reshape": {"shape": []}}
