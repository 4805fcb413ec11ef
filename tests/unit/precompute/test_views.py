"""Feature types as people write them."""

from __future__ import annotations

import math

import pytest

from precompute.views import KINDS, Field, Missing, View, parse_type


@pytest.mark.parametrize(
    ("text", "kind", "shape"),
    [
        ("float32", "float32", ()),
        ("string", "string", ()),
        ("float32[8]", "float32", (8,)),
        (" uint8[28, 28] ", "uint8", (28, 28)),
        ("bool[2,3,4]", "bool", (2, 3, 4)),
    ],
)
def test_a_type_names_a_kind_and_a_shape(text: str, kind: str, shape: tuple[int, ...]) -> None:
    """Scalars by name alone, fixed shapes in brackets."""
    assert parse_type(text) == (kind, shape)


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_is_written_as_it_is_read(kind: str) -> None:
    """The text of a field is the type it was declared with."""
    for shape in [(), (3,), (2, 5)] if kind != "string" else [()]:
        assert parse_type(str(Field("x", kind, shape))) == (kind, shape)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("float", "unknown type 'float'; one of float32, float64, int32, int64, uint8, bool, string"),
        ("float16", "unknown type"),
        ("float32[]", "unknown type"),
        ("float32[-1]", "unknown type"),
        ("float32[2][2]", "unknown type"),
        ("float32[0]", "an empty axis"),
        ("string[3]", "a string feature holds one value"),
        ("float64[999999]", "larger than 1048576 bytes"),
        ("uint8[99999,99999]", "larger than 1048576 bytes"),
    ],
)
def test_a_wrong_type_says_what_is_possible(text: str, complaint: str) -> None:
    """Unknown kinds, odd shapes and huge ones are refused in words."""
    with pytest.raises(ValueError, match=complaint):
        parse_type(text)


def test_what_stands_for_a_missing_value_follows_the_policy() -> None:
    """Nothing, NaN, or the default."""
    error, nan = Field("x", "float32"), Field("x", "float32", (), Missing.NAN)
    default = Field("x", "int64", (), Missing.DEFAULT, 7)

    assert error.fill_value() is None
    assert math.isnan(nan.fill_value())  # type: ignore[arg-type]
    assert default.fill_value() == 7


def test_a_view_knows_its_fields_by_name() -> None:
    """`field` asks, `of` insists."""
    view = View("weather", "airport", (Field("temp", "float32"),))

    assert view.field("temp") == view.of("temp") == Field("temp", "float32")
    assert view.field("wind") is None
    with pytest.raises(KeyError, match="wind"):
        view.of("wind")
