"""Signatures: compared with what a manifest would feed, written down, and shown to people."""

from __future__ import annotations

import json

import numpy as np
import pytest

from precompute.errors import PermanentError
from precompute.runtime import Session
from precompute.signature import OutputSpec, Signature, TensorSpec, castable, check_inputs, listed
from tests import onnx_models as models

NUMBERS = ["bool", "uint8", "int32", "int64", "float32", "float64"]


def _takes(dtype: str, *shape: int | None) -> Signature:
    return Signature((TensorSpec("x", dtype, shape),), ())


@pytest.mark.parametrize(
    "model", [models.image(), models.sklearn_classifier(), models.shared_scalar(), models.fixed_batch(4)]
)
def test_a_signature_survives_json(model: bytes) -> None:
    """What the registry stores is plain JSON and reads back equal."""
    signature = Session.load(model).signature

    read_back = Signature.from_json(json.loads(json.dumps(signature.to_json())))

    assert read_back == signature


def test_a_signature_reads_well() -> None:
    """Errors print it, so it must fit a line and say what is open."""
    maps = OutputSpec("p", "maps", "float32", (None,), keys="string")
    signature = Signature((TensorSpec("x", "float32", (None, None, 3)), TensorSpec("s", "int64", ())), (maps,))

    assert str(signature) == "(x: float32[N, ?, 3], s: int64[]) -> (p: map of string to float32)"


@pytest.mark.parametrize("shape", [(None,), (None, 1), (), (4,), (4, 1), (None, None)])
def test_a_scalar_feature_fits_every_shape_of_one_value(shape: tuple[int | None, ...]) -> None:
    """`[N]`, `[N, 1]` and `[]` are the same thing to a manifest."""
    assert check_inputs({"x": ("float32", ())}, _takes("float32", *shape)) == []


@pytest.mark.parametrize(
    ("row", "shape", "fits"),
    [
        ((32,), (None, 32), True),
        ((32,), (None, None), True),
        ((31,), (None, 32), False),
        ((28, 28), (None, 28, 28), True),
        ((784,), (None, 28, 28), False),
        ((2,), (None,), False),
        ((1,), (None,), True),
        ((3,), (), False),
    ],
)
def test_shapes_are_compared_row_by_row(row: tuple[int, ...], shape: tuple[int | None, ...], fits: bool) -> None:
    """The batch axis is left out; open sizes match anything."""
    problems = check_inputs({"x": ("float32", row)}, _takes("float32", *shape))

    assert (problems == []) is fits


def test_every_mismatch_is_a_sentence_with_both_sides() -> None:
    """Unknown inputs, forgotten inputs, wrong types and wrong shapes are reported at once."""
    signature = Signature((TensorSpec("x", "float32", (None, 32)), TensorSpec("n", "int64", (None,))), ())
    known = listed(signature.inputs)

    problems = check_inputs({"x": ("float32", (31,)), "y": ("string", ())}, signature)

    assert problems == [
        f"input 'y': the manifest feeds string[N], the model has no such input; it has {known}",
        "input 'x': the manifest feeds float32[N, 31], the model takes float32[N, 32]",
        "input 'n': the manifest feeds nothing, the model takes int64[N]",
    ]


def test_only_casts_that_keep_the_meaning_are_allowed() -> None:
    """Never float to int, never text to number, and numbers never become a bool."""
    allowed = {(a, b) for a in [*NUMBERS, "string"] for b in [*NUMBERS, "string"] if castable(a, b)}

    floats = {(a, b) for a in NUMBERS for b in ("float32", "float64")}
    small = {(a, b) for a in ("bool", "uint8") for b in NUMBERS if b != "bool"}
    same = {
        ("bool", "bool"),
        ("string", "string"),
        *((a, b) for a in ("int32", "int64") for b in ("int32", "int64")),
    }
    assert allowed == floats | small | same


def test_fit_casts_and_shapes_to_what_the_model_takes() -> None:
    """A column of int64 becomes the `[N, 1]` float32 of the model."""
    fitted = TensorSpec("x", "float32", (None, 1)).fit(np.array([1, 2, 3]))

    assert fitted.dtype == np.float32
    assert fitted.tolist() == [[1], [2], [3]]


def test_fit_copies_nothing_that_fits_already() -> None:
    """The usual case costs nothing."""
    values = np.zeros((3, 2), np.float32)

    assert TensorSpec("x", "float32", (None, 2)).fit(values) is values


@pytest.mark.parametrize(
    ("dtype", "values", "says"),
    [
        ("int32", np.array([[5], [1 << 40]]), "input 'x': 1099511627776 does not fit into int32"),
        ("int8", np.array([[200]], np.uint8), "input 'x': 200 does not fit into int8"),
        ("int64", np.array([[1.5]]), "input 'x': got float64 values, the model takes int64\\[N, 1\\]"),
        ("float32", np.array([["1"]], object), "input 'x': got string values"),
        ("float32", np.zeros((2, 3)), "input 'x': got float64\\[N, 3\\], the model takes float32\\[N, 1\\]"),
    ],
)
def test_fit_refuses_what_would_change_a_value(dtype: str, values: np.ndarray, says: str) -> None:
    """A number too large for the model's integers must not wrap around silently."""
    with pytest.raises(PermanentError, match=says):
        TensorSpec("x", dtype, (None, 1)).fit(values)
