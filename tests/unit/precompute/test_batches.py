"""Rows and runs: how a call is cut, and put together again."""

from __future__ import annotations

import numpy as np
import pytest

from precompute.batches import Plan, alike, gather
from precompute.errors import PermanentError
from precompute.signature import Signature, TensorSpec

OPEN = Signature((TensorSpec("x", "float32", (None, 2)),), ())
FIXED = Signature((TensorSpec("x", "float32", (4, 2)),), ())
SCALARS = Signature((TensorSpec("s", "float32", ()),), ())


def test_rows_are_alike_when_all_columns_agree() -> None:
    """Groups come in the order of their first row and list their rows in order."""
    groups = alike([np.array([1, 2, 1, 1]), np.array(["a", "a", "a", "b"], object)], 4)

    assert [group.tolist() for group in groups] == [[0, 2], [1], [3]]


def test_numbers_are_alike_by_their_bits() -> None:
    """A model can tell 0.0 from -0.0, and one NaN is like another."""
    groups = alike([np.array([0.0, -0.0, np.nan, np.nan])], 4)

    assert [group.tolist() for group in groups] == [[0], [1], [2, 3]]


@pytest.mark.parametrize(
    ("signature", "buckets", "rows", "sizes"),
    [
        (OPEN, False, 20, [8, 8, 4]),
        (OPEN, False, 3, [3]),
        (OPEN, True, 3, [4]),
        (OPEN, True, 13, [8, 8]),
        (FIXED, False, 9, [4, 4, 4]),
        (FIXED, True, 9, [4, 4, 4]),
    ],
)
def test_runs_have_sizes_the_model_can_take(signature: Signature, buckets: bool, rows: int, sizes: list[int]) -> None:
    """Cut at the largest batch, padded to a fixed size or, with buckets, to a power of two."""
    feeds = {"x": np.zeros((rows, 2), np.float32)}

    runs = list(Plan(signature, 8, buckets).runs(feeds, rows))

    assert [run.size for run in runs] == sizes
    assert [len(run.feeds(feeds, signature)["x"]) for run in runs] == sizes


def test_a_run_is_padded_with_its_last_row() -> None:
    """A real row cannot upset the model, made-up ones could."""
    feeds = {"x": np.array([[1, 1], [2, 2]], np.float32)}

    run = next(Plan(FIXED, 8, buckets=False).runs(feeds, 2))

    assert run.feeds(feeds, FIXED)["x"].tolist() == [[1, 1], [2, 2], [2, 2], [2, 2]]


def test_equal_scalars_share_one_run_however_many_rows() -> None:
    """The largest batch limits tensors, and here there are none."""
    feeds = {"s": np.array([5, 6] * 50, np.float32)}

    runs = list(Plan(SCALARS, 8, buckets=False).runs(feeds, 100))

    assert [run.feeds(feeds, SCALARS)["s"].tolist() for run in runs] == [5, 6]


def test_results_return_to_the_order_that_was_asked() -> None:
    """Tensors and maps alike."""
    runs = list(Plan(SCALARS, 8, buckets=False).runs({"s": np.array([5, 6, 5], np.float32)}, 3))

    assert gather(runs, [np.array([50, 51]), np.array([60])]).tolist() == [50, 60, 51]
    assert gather(runs, [[{"a": 50}, {"a": 51}], [{"a": 60}]]) == [{"a": 50}, {"a": 60}, {"a": 51}]


def test_runs_whose_rows_differ_in_shape_are_refused() -> None:
    """They cannot be one array."""
    runs = list(Plan(SCALARS, 8, buckets=False).runs({"s": np.array([5, 6], np.float32)}, 2))

    with pytest.raises(PermanentError, match="rows differ in shape"):
        gather(runs, [np.zeros((1, 2)), np.zeros((1, 3))])
