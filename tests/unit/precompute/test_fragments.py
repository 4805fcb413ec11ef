"""JSON texts cut from whole batches are the texts each row would have alone."""

from __future__ import annotations

import numpy as np
import orjson
import pytest

from precompute.fragments import map_texts, object_texts, row_texts


@pytest.mark.parametrize("shape", [(5,), (5, 3), (1, 3), (4, 2, 3), (3, 1, 1), (2, 3, 1, 2), (2, 0, 3)])
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_every_row_is_written_as_if_alone(shape: tuple[int, ...], dtype: str) -> None:
    """Cutting at brackets loses and moves nothing."""
    values = np.random.default_rng(3).integers(-2, 2, shape).astype(dtype)

    alone = [orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY) for row in values.tolist()]
    assert row_texts(values) == alone


def test_objects_take_k_values_each() -> None:
    """The cells of one row never end up in another's object."""
    assert object_texts(("a", "b"), np.array([[1, 2], [3, 4]])) == [b'{"a":1,"b":2}', b'{"a":3,"b":4}']


def test_maps_may_differ_in_their_keys() -> None:
    """An empty map is an empty object."""
    assert map_texts([{"a": 0.5}, {}, {"b": 0.25, "a": 1.0}]) == [b'{"a":0.5}', b"{}", b'{"b":0.25,"a":1.0}']
