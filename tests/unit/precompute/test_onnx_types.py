"""ONNX Runtime's spelling of types and errors, in our words."""

from __future__ import annotations

import pytest

from precompute.errors import ModelRejected
from precompute.onnx_types import input_spec, output_spec, reason


@pytest.mark.parametrize(
    ("onnx_type", "dtype"),
    [
        ("tensor(float)", "float32"),
        ("tensor(double)", "float64"),
        ("tensor(float16)", "float16"),
        ("tensor(uint8)", "uint8"),
        ("tensor(int64)", "int64"),
        ("tensor(bool)", "bool"),
        ("tensor(string)", "string"),
    ],
)
def test_tensor_types_get_numpy_names(onnx_type: str, dtype: str) -> None:
    """Named and unnamed open sizes are both open."""
    spec = input_spec("x", onnx_type, ["batch", 3, None])

    assert (spec.dtype, spec.shape) == (dtype, (None, 3, None))


@pytest.mark.parametrize("onnx_type", ["tensor(bfloat16)", "seq(tensor(float))", "map(string,tensor(float))"])
def test_types_no_feature_can_have_are_refused_as_input(onnx_type: str) -> None:
    """The message names the input and its type."""
    with pytest.raises(ModelRejected, match="input 'x' has type"):
        input_spec("x", onnx_type, [])


def test_outputs_are_tensors_maps_or_something_else() -> None:
    """Something else is kept in the signature, so that errors can show it."""
    kinds = [
        output_spec("y", t, []).kind for t in ("tensor(float)", "seq(map(string,tensor(float)))", "seq(tensor(float))")
    ]

    assert kinds == ["tensor", "maps", "other"]


IR_TOO_NEW = (
    "[ONNXRuntimeError] : 1 : FAIL : /onnxruntime_src/core/graph/model.cc:256 onnxruntime::Model::Model("
    "onnx::ModelProto&&, const Options&) Unsupported model IR version: 50, max supported IR version: 14\n"
)
NODE_FAILED = (
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Add node. Name:'sum' "
    "Status Message: /src/element_wise_ops.h:563 void onnxruntime::Init(ptrdiff_t, ptrdiff_t) axis == 1"
)
NO_PROTOBUF = "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Failed to load because protobuf parsing failed."


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (IR_TOO_NEW, "Unsupported model IR version: 50, max supported IR version: 14"),
        (NODE_FAILED, "in Add sum: axis == 1"),
        (NO_PROTOBUF, "it is not an ONNX model, or it is cut short"),
    ],
)
def test_errors_lose_codes_and_source_places(text: str, clean: str) -> None:
    """What remains is for people."""
    assert reason(RuntimeError(text)) == clean
