"""ONNX Runtime's way of writing types, read into ours; and the cleaning of its error texts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from precompute.errors import ModelRejected
from precompute.signature import OutputSpec, Shape, TensorSpec

_NUMPY_NAMES = {"float": "float32", "double": "float64"}
_TENSOR = re.compile(r"tensor\((float|double|float16|u?int(?:8|16|32|64)|bool|string)\)")
_MAPS = re.compile(r"seq\(map\((int64|string),tensor\(float\)\)\)")
#: An error's code, and the place in the C++ source with the function's whole signature.
_NOISE = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : |(?<!\S)/\S+\.(?:cc|h):\d+ .*?\)(?: const)? ")
_FAILED_NODE = re.compile(r"Non-zero status code returned while running (\w+) node\. Name:'(.*?)' Status Message:")
#: What a file that was cut short, is empty or is no model at all looks like to the parser.
_UNREADABLE = ("protobuf parsing failed", "No graph was found")
#: Weights beside the file, as exporters of large models leave them; only the file itself travels.
_ELSEWHERE = ("model_path must not be empty", "External data path")


def input_spec(name: str, onnx_type: str, shape: Sequence[int | str | None]) -> TensorSpec:
    """One input. Raises ModelRejected for types no feature can have (sequences, maps, bfloat16)."""
    tensor = _TENSOR.fullmatch(onnx_type)
    if tensor is None:
        raise ModelRejected(f"input {name!r} has type {onnx_type}; only tensors of numbers, bools or text can be fed")
    return TensorSpec(name, _numpy_name(tensor[1]), _sizes(shape))


def output_spec(name: str, onnx_type: str, shape: Sequence[int | str | None]) -> OutputSpec:
    """One output, with the batch axis the file declares."""
    if tensor := _TENSOR.fullmatch(onnx_type):
        sizes = _sizes(shape)
        return OutputSpec(name, "tensor", _numpy_name(tensor[1]), sizes, batched=bool(sizes))
    if maps := _MAPS.fullmatch(onnx_type):
        return OutputSpec(name, "maps", "float32", (None,), keys=maps[1])
    return OutputSpec(name, "other", onnx_type, ())


def reason(error: Exception) -> str:
    """An error of ONNX Runtime in one line for people, without codes and places in its source."""
    text = str(error)
    if any(sign in text for sign in _UNREADABLE):
        return "it is not an ONNX model, or it is cut short"
    if any(sign in text for sign in _ELSEWHERE):
        return "its weights are in a second file; export the model as a single file"
    return " ".join(_FAILED_NODE.sub(r"in \1 \2:", _NOISE.sub("", text)).replace(" :", ":").split())


def _numpy_name(element: str) -> str:
    return _NUMPY_NAMES.get(element, element)


def _sizes(shape: Sequence[int | str | None]) -> Shape:
    # A name ("batch") or nothing stands for a size that is only known when the model runs.
    return tuple(size if isinstance(size, int) else None for size in shape)
