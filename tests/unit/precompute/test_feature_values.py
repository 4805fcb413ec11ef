"""One value at a time: stored exactly, or refused in words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from precompute.errors import RowRejected
from precompute.feature_values import packer
from precompute.rows import STAMP, Layout
from precompute.views import KINDS, Field, Missing, View, parse_type

F32_MAX = 3.4028234663852886e38


def _read_back(kind: str, value: object, missing: Missing = Missing.ERROR) -> Any:
    layout = Layout(View("v", "v", (Field("x", *parse_type(kind), missing),)))
    return layout.decode(STAMP.pack(0, 0, 0) + layout.encode({"x": value}))["x"]


@pytest.mark.parametrize(
    ("kind", "given_value", "stored"),
    [
        ("float32", 3, 3.0),
        ("float32", np.float32(1.5), 1.5),
        ("float32", F32_MAX, F32_MAX),
        ("float32", 1e-60, 0.0),
        ("float64", np.int64(7), 7.0),
        ("float64", 1.7e308, 1.7e308),
        ("int32", 5.0, 5),
        ("int64", np.int64(-9), -9),
        ("int64", np.float64(2**40), 2**40),
        ("uint8", 255, 255),
        ("bool", 1, True),
        ("bool", np.bool_(False), False),
        ("bool", np.int64(1), True),
        ("string", "", ""),
        ("string", "é\x00~", "é\x00~"),
        ("float32[2]", [1, 2.5], [1.0, 2.5]),
        ("float32[2]", np.array([1, 2], np.int8), [1.0, 2.0]),
        ("int32[2]", [1.0, -2.0], [1, -2]),
        ("uint8[2,2]", [[0, 1], [2, 255]], [[0, 1], [2, 255]]),
        ("bool[2]", [0, True], [False, True]),
    ],
)
def test_a_value_that_means_the_same_is_taken(kind: str, given_value: object, stored: object) -> None:
    """Numbers may come in any Python or NumPy type, as long as nothing is lost but float digits."""
    assert _read_back(kind, given_value) == stored


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("float32", "1.5"),
        ("float32", True),
        ("float32", [1.0]),
        ("float32", 1j),
        ("float32", math.inf),
        ("float32", 3.41e38),
        ("float32", 10**400),
        ("float64", 10**400),
        ("float64", -math.inf),
        ("int32", 1.5),
        ("int32", 2**31),
        ("int32", math.inf),
        ("int64", 1e300),
        ("int64", "7"),
        ("int64", True),
        ("uint8", -1),
        ("uint8", 256),
        ("bool", 2),
        ("bool", "true"),
        ("bool", 1.0),
        ("string", 5),
        ("string", b"bytes"),
        ("string", "\ud800"),
        ("string", "x" * 65_536),
        ("float32[2]", [1.0]),
        ("float32[2]", [[1.0, 2.0]]),
        ("float32[2]", 1.0),
        ("float32[2]", ["1", "2"]),
        ("float32[2]", ["1", None]),
        ("float32[2]", [[1], [2, 3]]),
        ("float32[2]", [1.0, math.inf]),
        ("float32[2]", [1.0, 1e39]),
        ("float32[2]", [1.0, math.nan]),
        ("float32[2]", [1.0, None]),
        ("float32[2]", {"a": 1}),
        ("float32[2]", "ab"),
        ("int32[2]", [1, 1.5]),
        ("int32[2]", [1, 2**31]),
        ("int32[2]", [1, math.nan]),
        ("int32[2]", [1, None]),
        ("int64[2]", [1, 10**30]),
        ("uint8[2]", [0, 256]),
        ("uint8[2]", [0, -1]),
        ("bool[2]", [0, 2]),
    ],
)
def test_a_value_of_another_type_is_refused(kind: str, value: object) -> None:
    """Nothing is cut, wrapped or guessed; the message names the field and stays short."""
    with pytest.raises(RowRejected, match="x") as caught:
        _read_back(kind, value)

    assert len(str(caught.value)) < 200


@given(st.sampled_from(sorted(KINDS)), st.one_of(st.integers(), st.floats(), st.text(), st.binary(), st.none()))
def test_any_value_is_stored_or_refused(kind: str, value: object) -> None:
    """Whatever arrives, one bad row is one rejected row, and never a crash that costs its neighbours."""
    try:
        stored = _read_back(kind, value)
    except RowRejected:
        return

    assert stored == (np.float32(value) if kind == "float32" else value)  # type: ignore[arg-type]


def test_numbers_inside_a_vector_may_be_missing_under_a_policy() -> None:
    """NaN, or the null of JSON, inside a vector of floats is NaN where a policy says what to do about it."""
    for missing in (Missing.NAN, Missing.DEFAULT):
        stored = _read_back("float32[3]", [1.0, None, math.nan], missing)
        assert stored[0] == 1.0
        assert np.isnan(stored[1:]).all()


def test_a_filler_is_what_struct_can_pack() -> None:
    """A missing value packs to NaN, zero, or no text, at its full size."""
    fillers = {kind: packer(Field("x", kind))(None) for kind in KINDS}

    assert math.isnan(fillers.pop("float32"))
    assert math.isnan(fillers.pop("float64"))
    assert fillers == {"int32": 0, "int64": 0, "uint8": 0, "bool": False, "string": b"\x00\x00"}
    assert packer(Field("x", "uint8", (2, 2)))(None) == bytes(4)
