"""Small real ONNX models, built in memory; one function per kind of model a user may bring.

Each returns the bytes of a file. IR and opset versions are pinned, so that any ONNX Runtime reads them.
"""

from __future__ import annotations

import functools
import timeit
import warnings
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

from precompute.runtime import Session

_F16, _F32, _F64, _I32, _I64 = (
    TensorProto.FLOAT16,
    TensorProto.FLOAT,
    TensorProto.DOUBLE,
    TensorProto.INT32,
    TensorProto.INT64,
)
_BOOL, _U8, _TEXT = TensorProto.BOOL, TensorProto.UINT8, TensorProto.STRING
_OPSET, _ML_OPSET, _IR = 17, 3, 8
_ML = "ai.onnx.ml"
#: Turns of a loop that are tried to find out how long one takes.
_TRIED_TURNS = 2000


def value(name: str, kind: int, shape: Sequence[int | str] | None) -> ValueInfoProto:
    """An input or output; `"N"` is an open batch, None leaves the shape out."""
    return helper.make_tensor_value_info(name, kind, shape)


def build(
    nodes: Sequence[object],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    constants: dict[str, np.ndarray] | None = None,
) -> bytes:
    """The bytes of a model made of these nodes."""
    weights = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "model", list(inputs), list(outputs), weights)
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_ML, _ML_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=_IR).SerializeToString()


def mlp(sizes: Sequence[int] = (32, 128, 64, 1), *, batch: int | str = "N", seed: int = 0) -> bytes:
    """`x` float32[N, 32] -> `y` float32[N, 1], a sigmoid."""
    rng = np.random.default_rng(seed)
    nodes, constants, at = [], {}, "x"
    for i, (width, height) in enumerate(pairwise(sizes)):
        constants[f"w{i}"] = (rng.normal(size=(width, height)) / np.sqrt(width)).astype(np.float32)
        constants[f"b{i}"] = rng.normal(size=height).astype(np.float32)
        last = i == len(sizes) - 2
        nodes.append(helper.make_node("Gemm", [at, f"w{i}", f"b{i}"], [f"g{i}"]))
        at = "y" if last else f"r{i}"
        nodes.append(helper.make_node("Sigmoid" if last else "Relu", [f"g{i}"], [at]))
    return build(nodes, [value("x", _F32, [batch, sizes[0]])], [value("y", _F32, [batch, sizes[-1]])], constants)


def mixed_inputs() -> bytes:
    """Five inputs of five types -> `total` float64[N], their sum; `wide` is float64[N, 2], the others [N]."""
    kinds = {"a": _F32, "b": _F64, "c": _I32, "d": _I64, "e": _BOOL}
    casts = [helper.make_node("Cast", [name], [f"{name}_f64"], to=_F64) for name in kinds]
    nodes = [
        *casts,
        helper.make_node("ReduceSum", ["wide", "axes"], ["wide_f64"], keepdims=0),
        helper.make_node("Sum", [f"{name}_f64" for name in (*kinds, "wide")], ["total"]),
    ]
    inputs = [*(value(name, kind, ["N"]) for name, kind in kinds.items()), value("wide", _F64, ["N", 2])]
    return build(nodes, inputs, [value("total", _F64, ["N"])], {"axes": np.array([1], np.int64)})


def text_lookup() -> bytes:
    """`carrier` string[N, 1] -> `code` int64[N, 1]: UA 0, DL 1, AA 2, anything else -1."""
    names = ["UA", "DL", "AA"]
    node = helper.make_node(
        "LabelEncoder",
        ["carrier"],
        ["code"],
        domain=_ML,
        keys_strings=names,
        values_int64s=range(3),
        default_int64=-1,
    )
    return build([node], [value("carrier", _TEXT, ["N", 1])], [value("code", _I64, ["N", 1])])


def strict_one_hot() -> bytes:
    """`carrier` string[N] -> `hot` float32[N, 2]; fails for anything but UA and DL, even for ""."""
    node = helper.make_node("OneHotEncoder", ["carrier"], ["hot"], domain=_ML, cats_strings=["UA", "DL"], zeros=0)
    return build([node], [value("carrier", _TEXT, ["N"])], [value("hot", _F32, ["N", 2])])


def text_echo() -> bytes:
    """`s` string[N] -> `out` string[N], unchanged."""
    node = helper.make_node("Identity", ["s"], ["out"])
    return build([node], [value("s", _TEXT, ["N"])], [value("out", _TEXT, ["N"])])


def fixed_batch(size: int) -> bytes:
    """`x` float32[size, 3] -> `y` float32[size], each row's sum; runs of any other size fail."""
    node = helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)
    constants = {"axes": np.array([1], np.int64)}
    return build([node], [value("x", _F32, [size, 3])], [value("y", _F32, [size])], constants)


def image(batch: int | str = "N") -> bytes:
    """`img` uint8[N, 28, 28] -> `scores` float32[N, 10], `brightness` float32[N], `mask` bool[N, 28, 28]."""
    weights = np.random.default_rng(1).normal(size=(28 * 28, 10)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["img"], ["pixels"], to=_F32),
        helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
        helper.make_node("ReduceMean", ["pixels"], ["brightness"], axes=[1, 2], keepdims=0),
        helper.make_node("Greater", ["pixels", "half"], ["mask"]),
    ]
    outputs = [
        value("scores", _F32, [batch, 10]),
        value("brightness", _F32, [batch]),
        value("mask", _BOOL, [batch, 28, 28]),
    ]
    constants = {"weights": weights, "half": np.array(127, np.float32)}
    return build(nodes, [value("img", _U8, [batch, 28, 28])], outputs, constants)


def sklearn_classifier(classes: Sequence[int] | Sequence[str] = (0, 1)) -> bytes:
    """`x` float32[N, 4] -> `output_label` and `output_probability`, one map per row, as skl2onnx does."""
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(2)
    features = rng.normal(size=(200, 4)).astype(np.float32)
    targets = np.array(classes)[np.digitize(features[:, 0], np.linspace(-1, 1, len(classes) + 1)[1:-1])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(features, targets)
        model = to_onnx(pipeline, features[:1], target_opset={"": _OPSET, _ML: _ML_OPSET})
    model.graph.input[0].name = "x"
    for node in model.graph.node:
        node.input[:] = ["x" if name == "X" else name for name in node.input]
    return model.SerializeToString()


def shared_scalar(batch: int | str = "N") -> bytes:
    """`x` float32[N, 3] and scalar `scale` float32[] -> `y` = x scale, `twice` = 2 scale (float32[])."""
    nodes = [
        helper.make_node("Mul", ["x", "scale"], ["y"]),
        helper.make_node("Add", ["scale", "scale"], ["twice"]),
    ]
    inputs = [value("x", _F32, [batch, 3]), value("scale", _F32, [])]
    return build(nodes, inputs, [value("y", _F32, [batch, 3]), value("twice", _F32, [])])


def only_scalars() -> bytes:
    """Scalars `a` float32[] and `b` int64[] -> `sum` float32[]; no input has a batch axis."""
    nodes = [
        helper.make_node("Cast", ["b"], ["b_f32"], to=_F32),
        helper.make_node("Add", ["a", "b_f32"], ["sum"]),
    ]
    return build(nodes, [value("a", _F32, []), value("b", _I64, [])], [value("sum", _F32, [])])


def unshaped_output() -> bytes:
    """`x` float32[N, 4] -> `y`, really float32[N], whose rank no shape inference can find."""
    node = helper.make_node("Loop", ["one", "yes", "x"], ["y"], body=_squeezing_loop())
    constants = {"one": np.array(1, np.int64), "yes": np.array(True)}
    return build([node], [value("x", _F32, ["N", 4])], [value("y", _F32, None)], constants)


def _squeezing_loop() -> object:
    nodes = [
        helper.make_node("Identity", ["go"], ["go_on"]),
        helper.make_node("ReduceMax", ["state"], ["next"], axes=[1], keepdims=0),
    ]
    inputs = [value("i", _I64, []), value("go", _BOOL, []), value("state", _F32, None)]
    return helper.make_graph(nodes, "body", inputs, [value("go_on", _BOOL, []), value("next", _F32, None)])


def looping(width: int, turns_at: int, least: float = 0) -> bytes:
    """`x` float32[N, width] -> `y` float32[N, 1], 0; runs as many turns as column `turns_at` says: see `turns_in`."""
    nodes = [
        helper.make_node("Gather", ["x", "at"], ["column"], axis=1),
        helper.make_node("ReduceMax", ["column"], ["most"], keepdims=0),
        helper.make_node("Add", ["most", "least"], ["all"]),
        helper.make_node("Cast", ["all"], ["turns"], to=_I64),
        helper.make_node("Loop", ["turns", "yes", "square"], ["last"], body=_multiplying_loop()),
        helper.make_node("ReduceMax", ["last"], ["top"], keepdims=0),
        helper.make_node("Mul", ["column", "zero"], ["nothing"]),
        helper.make_node("Mul", ["top", "zero"], ["none"]),
        helper.make_node("Add", ["nothing", "none"], ["y"]),
    ]
    constants = {
        "at": np.array([turns_at], np.int64),
        "least": np.array(least, np.float32),
        "yes": np.array(True),
        "square": np.full((64, 64), 1 / 64, np.float32),
        "zero": np.array(0, np.float32),
    }
    return build(nodes, [value("x", _F32, ["N", width])], [value("y", _F32, ["N", 1])], constants)


@functools.cache
def turns_in(seconds: float) -> float:
    """Turns of a `looping` model that take so long on this machine, as the fastest of some runs says."""
    session, row = Session.load(looping(1, turns_at=0)), np.array([[_TRIED_TURNS]], np.float32)
    took_s = min(timeit.repeat(lambda: session.run({"x": row}), number=1, repeat=5))
    return float(round(seconds / took_s * _TRIED_TURNS))


def _multiplying_loop() -> object:
    nodes = [
        helper.make_node("Identity", ["go"], ["go_on"]),
        helper.make_node("MatMul", ["state", "state"], ["next"]),
    ]
    inputs = [value("i", _I64, []), value("go", _BOOL, []), value("state", _F32, [64, 64])]
    outputs = [value("go_on", _BOOL, []), value("next", _F32, [64, 64])]
    return helper.make_graph(nodes, "body", inputs, outputs)


def failing() -> bytes:
    """`x` float32[N, 2] -> `y` float32[N, 2], if it ever ran: it asks for an element that is not there."""
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["some"], to=_I64),
        helper.make_node("Mul", ["some", "none"], ["zero"]),
        helper.make_node("Add", ["zero", "far"], ["index"]),
        helper.make_node("Gather", ["weights", "index"], ["weight"]),
        helper.make_node("Mul", ["x", "weight"], ["y"]),
    ]
    constants = {
        "none": np.array(0, np.int64),
        "far": np.array(7, np.int64),
        "weights": np.array([1, 2], np.float32),
    }
    return build(nodes, [value("x", _F32, ["N", 2])], [value("y", _F32, ["N", 2])], constants)


def constant_extra() -> bytes:
    """`x` float32[N, 2] -> `y` float32[N, 2] and `weights` float32[2], the same for all rows."""
    nodes = [helper.make_node("Mul", ["x", "w"], ["y"]), helper.make_node("Identity", ["w"], ["weights"])]
    outputs = [value("y", _F32, ["N", 2]), value("weights", _F32, [2])]
    return build(nodes, [value("x", _F32, ["N", 2])], outputs, {"w": np.array([2, 3], np.float32)})


def two_batch_sizes() -> bytes:
    """`a` float32[2] and `b` float32[3], which no number of rows can satisfy."""
    nodes = [helper.make_node("Concat", ["a", "b"], ["y"], axis=0)]
    return build(nodes, [value("a", _F32, [2]), value("b", _F32, [3])], [value("y", _F32, [5])])


def weights_elsewhere() -> bytes:
    """Its weights are said to be in `weights.bin` beside it, as exporters of large models do."""
    weights = TensorProto(name="w", dims=[2], data_type=_F32, data_location=TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value="weights.bin")
    node = helper.make_node("Mul", ["x", "w"], ["y"])
    ends = [value("x", _F32, ["N", 2])], [value("y", _F32, ["N", 2])]
    return helper.make_model(helper.make_graph([node], "model", *ends, [weights]), ir_version=_IR).SerializeToString()


def unknown_operator() -> bytes:
    """Uses an operator that does not exist."""
    node = helper.make_node("Conjure", ["x"], ["y"])
    return build([node], [value("x", _F32, ["N", 1])], [value("y", _F32, ["N", 1])])


def halves() -> bytes:
    """`x` float16[N, 2] -> `y` float16[N, 2], doubled."""
    node = helper.make_node("Add", ["x", "x"], ["y"])
    return build([node], [value("x", _F16, ["N", 2])], [value("y", _F16, ["N", 2])])


def tagged() -> bytes:
    """`name` string[N, 1], `n` int64[N, 1] -> `name_out` string[N, 1], `next` int64[N, 1]: n + 1."""
    nodes = [helper.make_node("Identity", ["name"], ["name_out"]), helper.make_node("Add", ["n", "one"], ["next"])]
    inputs = [value("name", _TEXT, ["N", 1]), value("n", _I64, ["N", 1])]
    outputs = [value("name_out", _TEXT, ["N", 1]), value("next", _I64, ["N", 1])]
    return build(nodes, inputs, outputs, {"one": np.array(1, np.int64)})


def open_width() -> bytes:
    """`x` float32[N, ?] -> `sum` float32[N], over rows of any width."""
    node = helper.make_node("ReduceSum", ["x", "axes"], ["sum"], keepdims=0)
    return build([node], [value("x", _F32, ["N", "W"])], [value("sum", _F32, ["N"])], {"axes": np.array([1], np.int64)})
