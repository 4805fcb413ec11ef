"""KServe's v1 door."""

from __future__ import annotations

import json

import numpy as np
import orjson
import pytest

from edge.api.oip.instances import feeds_of_instances, predictions
from precompute.errors import InvalidRequest
from precompute.output_tensors import AnswerSpec
from precompute.signature import OutputSpec, Signature, TensorSpec

OUT = (OutputSpec("y", "tensor", "float32", (None,)),)
X = Signature((TensorSpec("x", "float32", (None, 2)),), OUT)
FLAT = Signature((TensorSpec("s", "string", (None, 1)),), OUT)
TWO = Signature((TensorSpec("n", "int64", (None, 1)), TensorSpec("scale", "float32", ())), OUT)


def read(signature: Signature, *instances: object) -> dict[str, list[object]]:
    """What a model is fed, as lists."""
    feeds, rows = feeds_of_instances(json.dumps({"instances": instances}).encode(), signature, 10)
    assert rows == len(instances)
    return {name: array.tolist() for name, array in feeds.items()}


def test_the_value_of_the_only_input_may_stand_alone() -> None:
    """Or by its name."""
    assert read(X, [1, 2], [3, 4]) == read(X, {"x": [1, 2]}, {"x": [3, 4]}) == {"x": [[1, 2], [3, 4]]}


def test_a_single_value_needs_no_brackets() -> None:
    """Whatever the rank of the model's input."""
    assert read(FLAT, "a", "b") == read(FLAT, ["a"], ["b"]) == {"s": [["a"], ["b"]]}


def test_each_row_may_have_a_scalar_of_its_own() -> None:
    """Rows that agree on it share a run."""
    assert read(TWO, {"n": 1, "scale": 0.5}, {"scale": 2, "n": 3}) == {"n": [[1], [3]], "scale": [0.5, 2]}


@pytest.mark.parametrize(
    ("signature", "body", "says"),
    [
        (X, b"", "the body must be JSON"),
        (X, b"[]", "the body must be JSON"),
        (X, b'{"inputs": []}', "missing required field `instances`"),
        (X, b'{"instances": []}', "1 to 10 instances, this one 0"),
        (X, b'{"instances": [' + b"[1,2]," * 10 + b"[1,2]]}", "this one 11"),
        (X, b'{"instances": [[1, 2], [3]]}', "differ in length"),
        (X, b'{"instances": [[1, 2, 3]]}', r"a row has shape \[3\]"),
        (X, b'{"instances": [1]}', r"a row has shape \[\]"),
        (X, b'{"instances": [["a", "b"]]}', "Expected `float"),
        (X, b'{"instances": [[1, 2], {"x": [1, 2]}]}', "Expected `array`"),
        (X, b'{"instances": [{"z": [1, 2]}]}', "'x' is missing from an instance"),
        (X, b'{"instances": [{"x": [1, 2], "z": 1}]}', "'z' is no input of the model"),
        (TWO, b'{"instances": [[1]]}', "an instance is an object of inputs"),
    ],
)
def test_what_does_not_fit_is_refused(signature: Signature, body: bytes, says: str) -> None:
    """By a text that says what and where."""
    with pytest.raises(InvalidRequest, match=says):
        feeds_of_instances(body, signature, 10)


def test_predictions_are_rows() -> None:
    """Values of the only output, or objects of outputs by name."""
    y, text = AnswerSpec("y", "float32", (1,)), AnswerSpec("text", "string", ())
    outputs = {"y": np.array([[0.1], [np.nan]], np.float32), "text": np.array(["a", "b"], object)}

    alone, both = predictions([y], {"y": outputs["y"]}), predictions([y, text], outputs)

    assert dumped(alone) == [[0.1], [None]]
    assert dumped(both) == [{"y": [0.1], "text": "a"}, {"y": [None], "text": "b"}]


def test_half_precision_has_a_form_here() -> None:
    """v1 has no binary data, so it is written as the numbers it holds."""
    half = AnswerSpec("y", "float16", ())

    assert dumped(predictions([half], {"y": np.array([1.5, -2], np.float16)})) == [1.5, -2]


def dumped(rows: list[object]) -> object:
    """As a client reads them."""
    return orjson.loads(orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY))
