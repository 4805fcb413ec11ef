"""Made-up rows, and what they reveal about a model's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from precompute.errors import PermanentError
from precompute.probe import repeated, with_true_batch_axes, zero_rows
from precompute.signature import OutputSpec, Signature, TensorSpec

X = TensorSpec("x", "float32", (None, 2))


def model_giving(shape: tuple[int, ...] | None) -> object:
    """A stand-in for the model: outputs of this shape, `(N,)` for None."""

    def execute(names: Sequence[str], feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        return [np.zeros((len(feeds["x"]),) if shape is None else shape) for _ in names]

    return execute


def test_zero_rows_have_the_types_and_shapes_of_the_inputs() -> None:
    """Text is empty, open sizes are 1, scalars get one value per row."""
    inputs = (
        TensorSpec("a", "int64", (None, 3, None)),
        TensorSpec("b", "string", (None,)),
        TensorSpec("c", "bool", ()),
    )

    rows = zero_rows(Signature(inputs, ()), 2)

    assert [(v.dtype.name, v.shape) for v in rows.values()] == [
        ("int64", (2, 3, 1)),
        ("object", (2,)),
        ("bool", (2,)),
    ]
    assert rows["b"].tolist() == ["", ""]


def test_a_sample_is_repeated_to_any_number_of_rows() -> None:
    """Its rows stay whole: inputs are repeated in step."""
    rows = repeated({"a": np.array([1, 2]), "b": np.array([10, 20])}, 5)

    assert rows["a"].tolist() == [1, 2, 1, 2, 1]
    assert rows["b"].tolist() == [10, 20, 10, 20, 10]


@pytest.mark.parametrize(
    ("declared", "gives", "shape", "batched"),
    [
        ((), None, (None,), True),
        ((), (), (), False),
        ((1,), None, (None,), True),
        ((2,), (2,), (2,), False),
    ],
)
def test_an_output_is_batched_if_it_follows_the_rows(
    declared: tuple[int, ...], gives: tuple[int, ...] | None, shape: tuple[int | None, ...], batched: bool
) -> None:
    """Whatever the file claims: two runs of different size tell."""
    signature = Signature((X,), (OutputSpec("y", "tensor", "float64", declared, batched=bool(declared)),))

    output = with_true_batch_axes(signature, model_giving(gives)).outputs[0]

    assert (output.shape, output.batched) == (shape, batched)


def test_declared_shapes_stand_when_zeros_are_no_valid_input() -> None:
    """A model that refuses made-up rows may still be right about itself."""
    signature = Signature((X,), (OutputSpec("y", "tensor", "float32", (), batched=False),))

    def refuse(names: Sequence[str], feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        raise PermanentError("unknown category")

    assert with_true_batch_axes(signature, refuse) == signature
