"""Fitted scikit-learn models as ONNX graphs: input `features` [N, F], output `probabilities` [N, 2].

Written by hand for two guarantees that general converters do not give. A tree's threshold is rounded down to
float32, not to the nearest, so that every float32 value goes the way it went in training. And an answer has the
same bits whatever else is in its batch: matrix products and reductions choose their order of summation by the
batch's shape, so the logistic regression takes a running sum along each row and picks its last value.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from deploy.demo.features import FEATURES

#: Read by every ONNX Runtime that nearcast supports; newer ones bring these models nothing.
_OPSETS = {"": 17, "ai.onnx.ml": 3}
_IR_VERSION = 8

Constants = dict[str, NDArray[np.float32]]


def logistic(fill: NDArray[np.float64], mean: NDArray[np.float64], weight: NDArray[np.float64], bias: float) -> bytes:
    """Sigmoid of `bias + sum((x - mean) * weight)`, where `fill` stands for NaN; the file's bytes."""
    nodes = [
        helper.make_node("IsNaN", ["features"], ["missing"]),
        helper.make_node("Where", ["missing", "fill", "features"], ["filled"]),
        helper.make_node("Sub", ["filled", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "weight"], ["terms"]),
        helper.make_node("CumSum", ["terms", "axis"], ["sums"]),
        helper.make_node("Gather", ["sums", "last"], ["sum"], axis=1),
        helper.make_node("Add", ["sum", "bias"], ["score"]),
    ]
    rows = {"fill": fill, "mean": mean, "weight": weight, "bias": np.array([bias])}
    return _model(nodes, {name: value.astype(np.float32) for name, value in rows.items()})


def boosted(trees: list[NDArray[Any]], baseline: float) -> bytes:
    """Sigmoid of `baseline` plus the values of the leaves that a row falls into; the file's bytes.

    Each tree is an array of nodes with the fields that scikit-learn's histogram trees have.
    """
    ensemble = helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["score"],
        domain="ai.onnx.ml",
        n_targets=1,
        base_values=[baseline],
        **_ensemble(trees),
    )
    return _model([ensemble], {})


def _model(nodes: list[Any], constants: Constants) -> bytes:
    """The nodes that compute `score` [N, 1], completed to a model."""
    answer = [
        helper.make_node("Sigmoid", ["score"], ["late"]),
        helper.make_node("Sub", ["one", "late"], ["punctual"]),
        helper.make_node("Concat", ["punctual", "late"], ["probabilities"], axis=1),
    ]
    constants = constants | {"one": np.ones(1, dtype=np.float32)}
    tensors = [helper.make_tensor(n, TensorProto.FLOAT, v.shape, v.tolist()) for n, v in constants.items()]
    tensors += [
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("last", TensorProto.INT64, [1], [len(FEATURES) - 1]),
    ]
    rows = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", len(FEATURES)])
    result = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 2])
    used = {name for node in [*nodes, *answer] for name in node.input}
    tensors = [tensor for tensor in tensors if tensor.name in used]
    graph = helper.make_graph([*nodes, *answer], "late", [rows], [result], tensors)
    imports = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
    return bytes(helper.make_model(graph, opset_imports=imports, ir_version=_IR_VERSION).SerializeToString())


def _ensemble(trees: list[NDArray[Any]]) -> dict[str, list[Any]]:
    """Attributes of the ensemble: all nodes of all trees, one below the other."""
    nodes = np.concatenate(trees)
    tree_ids = np.repeat(np.arange(len(trees)), [len(tree) for tree in trees])
    node_ids = np.concatenate([np.arange(len(tree)) for tree in trees])
    leaf = nodes["is_leaf"].astype(bool)
    return {
        "nodes_treeids": tree_ids.tolist(),
        "nodes_nodeids": node_ids.tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_featureids": np.where(leaf, 0, nodes["feature_idx"]).tolist(),
        "nodes_values": np.where(leaf, 0, _rounded_down(nodes["num_threshold"])).tolist(),
        "nodes_truenodeids": nodes["left"].tolist(),
        "nodes_falsenodeids": nodes["right"].tolist(),
        "nodes_missing_value_tracks_true": nodes["missing_go_to_left"].astype(int).tolist(),
        "target_treeids": tree_ids[leaf].tolist(),
        "target_nodeids": node_ids[leaf].tolist(),
        "target_ids": np.zeros(leaf.sum(), dtype=int).tolist(),
        "target_weights": nodes["value"][leaf].astype(np.float32).tolist(),
    }


def _rounded_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    nearest = thresholds.astype(np.float32)
    return np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)
