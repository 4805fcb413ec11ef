"""Every kind of model: N rows in, the same N rows out, whatever the model can take at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest

from precompute.errors import ModelRejected, PermanentError
from precompute.runtime import Session, digest
from tests import onnx_models as models

RNG = np.random.default_rng(7)


def _floats(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def _same_bits(left: np.ndarray, right: np.ndarray) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


@pytest.mark.parametrize("rows", [1, 2, 33, 1000])
def test_an_open_batch_gives_what_onnx_runtime_gives(rows: int) -> None:
    """Outputs equal a plain ONNX Runtime call bit for bit."""
    model, x = models.mlp(), _floats(rows, 32)
    plain = onnxruntime.InferenceSession(model).run(["y"], {"x": x})[0]

    y = Session.load(model).run({"x": x})["y"]

    assert _same_bits(y, plain)


def test_inputs_of_several_types_reach_the_model_as_they_are() -> None:
    """float32, float64, int32, int64 and bool inputs, scalars and vectors per row, in one model."""
    feeds = {
        "a": np.array([0.5, 1.5], np.float32),
        "b": np.array([10.0, 20.0]),
        "c": np.array([100, 200], np.int32),
        "d": np.array([1 << 40, 2], np.int64),
        "e": np.array([True, False]),
        "wide": np.array([[1.0, 2.0], [3.0, 4.0]]),
    }

    total = Session.load(models.mixed_inputs()).run(feeds)["total"]

    assert total.tolist() == [0.5 + 10 + 100 + (1 << 40) + 1 + 3, 1.5 + 20 + 200 + 2 + 7]


@pytest.mark.parametrize("kind", [object, str])
def test_text_is_fed_as_objects_or_as_numpy_strings(kind: type) -> None:
    """String inputs take both of NumPy's representations."""
    carriers = np.array([["DL"], ["UA"], ["Grüße"]], dtype=kind)

    code = Session.load(models.text_lookup()).run({"carrier": carriers})["code"]

    assert code.tolist() == [[1], [0], [-1]]


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 8, 11])
@pytest.mark.parametrize("size", [1, 4])
def test_a_fixed_batch_takes_any_number_of_rows(size: int, rows: int) -> None:
    """Rows are run in slices of the fixed size, the last one padded, and the padding never shows."""
    x = _floats(rows, 3)

    y = Session.load(models.fixed_batch(size)).run({"x": x})["y"]

    assert _same_bits(y, x.sum(axis=1))


@pytest.mark.parametrize("batch", ["N", 4])
def test_images_and_several_outputs(batch: int | str) -> None:
    """A uint8 image per row gives a vector, a scalar and a mask per row, in open and fixed batches."""
    img = RNG.integers(0, 256, (6, 28, 28), np.uint8)

    out = Session.load(models.image(batch)).run({"img": img})

    assert out["scores"].shape == (6, 10)
    np.testing.assert_allclose(out["brightness"], img.mean(axis=(1, 2)), rtol=1e-5)
    assert _same_bits(out["mask"], img > 127)


@pytest.mark.parametrize("classes", [(0, 1), ("no", "yes", "maybe")])
def test_maps_of_a_sklearn_model_come_one_per_row(classes: tuple[int, ...] | tuple[str, ...]) -> None:
    """A sequence-of-maps output is a list of dicts, and agrees with the label beside it."""
    out = Session.load(models.sklearn_classifier(classes)).run({"x": _floats(50, 4)})

    maps = out["output_probability"]
    assert len(maps) == 50
    assert set(maps[0]) == set(classes)
    assert [max(row, key=row.get) for row in maps] == out["output_label"].tolist()


@pytest.mark.parametrize("batch", ["N", 1, 3])
def test_rows_are_grouped_by_an_input_without_batch_axis(batch: int | str) -> None:
    """Each row gets the result for its own scalar, in the order asked; scalar outputs are repeated."""
    x, scale = _floats(7, 3), np.array([2, 3, 2, 5, 3, 2, 2], np.float32)

    out = Session.load(models.shared_scalar(batch)).run({"x": x, "scale": scale})

    assert _same_bits(out["y"], x * scale[:, None])
    assert out["twice"].tolist() == (2 * scale).tolist()


def test_a_model_of_scalars_only_answers_every_row() -> None:
    """Without any batched input, each distinct combination of scalars is one run."""
    feeds = {"a": np.array([1, 2, 1, np.nan], np.float32), "b": np.array([10, 10, 10, 10])}

    total = Session.load(models.only_scalars(), max_batch=2).run(feeds)["sum"]

    np.testing.assert_array_equal(total, np.array([11, 12, 11, np.nan], np.float32))


def test_many_rows_are_split_at_the_largest_batch() -> None:
    """Splitting changes nothing in the result."""
    model, x = models.mlp(), _floats(1001, 32)
    whole = Session.load(model).run({"x": x})["y"]

    split = Session.load(model, max_batch=100).run({"x": x})["y"]

    np.testing.assert_allclose(split, whole, rtol=1e-6)


@pytest.mark.parametrize("rows", [1, 3, 64, 65, 100, 130])
def test_buckets_pad_and_cut(rows: int) -> None:
    """With buckets, the rows that pad a run never come back."""
    x = _floats(rows, 3)
    feeds = {"x": x, "scale": np.full(rows, 2, np.float32)}

    y = Session.load(models.shared_scalar(), max_batch=64, buckets=True).run(feeds)["y"]

    assert _same_bits(y, x * 2)


@pytest.mark.parametrize(
    "model",
    [models.mlp, models.image, models.sklearn_classifier, models.only_scalars, lambda: models.fixed_batch(4)],
)
def test_no_rows_give_no_rows(model: Callable[[], bytes]) -> None:
    """Zero rows in, zero rows out, in the output's type."""
    session = Session.load(model())
    feeds = {s.name: np.empty((0, *s.row_shape), s.dtype) for s in session.signature.inputs}

    out = session.run(feeds)

    assert {len(values) for values in out.values()} == {0}


def test_an_output_without_declared_shape_is_found_to_be_batched() -> None:
    """A file that leaves an output's shape out is still read correctly: the first axis follows the rows."""
    session = Session.load(models.unshaped_output())
    x = _floats(5, 4)

    y = session.run({"x": x})["y"]

    assert str(session.signature.outputs[0]) == "y: float32[N]"
    assert _same_bits(y, x.max(axis=1))


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_constant_output_is_repeated_for_every_row(rows: int) -> None:
    """A vector that belongs to the model is never taken for one value per row, even if its length fits."""
    out = Session.load(models.constant_extra()).run({"x": _floats(rows, 2)})

    assert out["weights"].tolist() == [[2, 3]] * rows


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (b"", "not an ONNX model, or it is cut short"),
        (b"hello", "not an ONNX model, or it is cut short"),
        (models.mlp()[:-100], "not an ONNX model, or it is cut short"),
        (models.unknown_operator(), "No Op registered for Conjure"),
        (models.weights_elsewhere(), "its weights are in a second file"),
        (models.two_batch_sizes(), "fix different batch sizes: (a: float32[2], b: float32[3])"),
    ],
    ids=["empty", "text", "truncated", "unknown operator", "weights elsewhere", "two batch sizes"],
)
def test_a_file_that_cannot_be_used_is_rejected_in_one_line(model: bytes, says: str) -> None:
    """Whoever publishes learns why, without a stack of C++ names."""
    with pytest.raises(ModelRejected) as caught:
        Session.load(model)

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "onnxruntime_src" not in str(caught.value)


@pytest.mark.parametrize(
    ("feeds", "says"),
    [
        (
            {"x": _floats(2, 4), "scale": _floats(2)},
            "input 'x': got float32[N, 4], the model takes float32[N, 3]",
        ),
        ({"x": _floats(2, 3).astype(float), "scale": _floats(2)}, "input 'x': got float64[N, 3]"),
        ({"x": _floats(2, 3)}, "input scale: float32[] is missing"),
        (
            {"x": _floats(2, 3), "scale": _floats(2), "z": _floats(2)},
            "the model has no input 'z'; it has x, scale",
        ),
        ({"x": _floats(2, 3), "scale": _floats(1)}, "disagree on the number of rows: {'x': 2, 'scale': 1}"),
        (
            {"x": _floats(2, 3), "scale": np.float32(1)},
            "input 'scale': got float32[], the model takes float32[]",
        ),
        ({}, "input x: float32[N, 3] is missing"),
    ],
)
def test_wrong_tensors_are_refused_with_both_sides(feeds: dict[str, np.ndarray], says: str) -> None:
    """Names, types, shapes and numbers of rows are compared with the signature."""
    session = Session.load(models.shared_scalar())

    with pytest.raises(PermanentError) as caught:
        session.run(feeds)

    assert says in str(caught.value)


@pytest.mark.parametrize(
    "x", [_floats(2, 31), _floats(2, 32).astype(float), _floats(64), np.array([["a"] * 32], object)]
)
def test_wrong_tensors_are_refused_on_the_direct_way_too(x: np.ndarray) -> None:
    """The fast path looks only after a failure, but its message is the same."""
    session = Session.load(models.mlp())

    with pytest.raises(PermanentError, match="the model takes float32\\[N, 32\\]"):
        session.run({"x": x})


def test_one_row_is_not_spread_over_the_rows_of_other_inputs() -> None:
    """ONNX would broadcast; that would answer one key with another's feature."""
    session = Session.load(models.mixed_inputs())
    feeds = {s.name: np.zeros((3, *s.row_shape), s.dtype) for s in session.signature.inputs}

    with pytest.raises(PermanentError, match="disagree on the number of rows"):
        session.run({**feeds, "d": np.zeros(1, np.int64)})


def test_a_failing_operator_is_reported_in_one_line() -> None:
    """A value the model refuses is the caller's error, named by operator."""
    session = Session.load(models.strict_one_hot())

    with pytest.raises(PermanentError) as caught:
        session.run({"carrier": np.array(["UA", "ZZ"])})

    assert str(caught.value) == "the model failed: in OneHotEncoder: Unknown Category and zeros = 0."


@pytest.mark.parametrize(
    "model",
    [
        models.mlp,
        models.mixed_inputs,
        models.text_lookup,
        models.image,
        models.shared_scalar,
        models.only_scalars,
    ],
)
def test_warm_up_runs_every_kind_of_model(model: Callable[[], bytes]) -> None:
    """Zeros and empty strings of the right types and shapes are made up from the signature alone."""
    Session.load(model()).warm_up()


def test_warm_up_takes_a_sample_where_zeros_are_no_valid_input() -> None:
    """A model that refuses the empty string fails on made-up rows and warms up with real ones."""
    session = Session.load(models.strict_one_hot())

    session.warm_up(sample={"carrier": np.array(["UA", "DL", "UA"])})

    with pytest.raises(ModelRejected, match="warm-up with 1 rows: the model failed"):
        session.warm_up()


def test_the_digest_is_the_sha256_of_the_file() -> None:
    """So anybody can check it with sha256sum."""
    assert digest(b"model") == hashlib.sha256(b"model").hexdigest()
