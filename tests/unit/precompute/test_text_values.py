"""Values written as text."""

from __future__ import annotations

import numpy as np
import pytest

from precompute.errors import RowRejected
from precompute.text_values import parser, unflattened
from precompute.views import Field


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("float32", "1.5", 1.5),
        ("float32", " 2 ", 2.0),
        ("float64", "1e-3", 0.001),
        ("int64", "9007199254740993", 9007199254740993),
        ("int32", "-3", -3),
        ("int32", "3.0", 3.0),
        ("bool", "Yes", True),
        ("bool", "0", False),
        ("string", " kept as it is ", " kept as it is "),
    ],
)
def test_a_text_is_read_by_the_type_of_its_field(kind: str, text: str, value: object) -> None:
    """Whole numbers keep every digit, truth has several spellings, strings are not touched."""
    read = parser(Field("f", kind))(text)

    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("kind", ["float32", "int64", "bool", "string"])
def test_an_empty_text_is_a_missing_value(kind: str) -> None:
    """CSV has no other way to say so."""
    assert parser(Field("f", kind))("") is None


@pytest.mark.parametrize(
    ("kind", "text"), [("float32", "x"), ("float32", "1_0"), ("int64", "1_0"), ("int64", "three"), ("bool", "maybe")]
)
def test_a_text_of_another_type_is_rejected(kind: str, text: str) -> None:
    """The reason names field, text and type; Python's own `1_0` is nobody's number."""
    with pytest.raises(RowRejected, match=f"f: '{text}' is not a {kind}"):
        parser(Field("f", kind))(text)


@pytest.mark.parametrize("text", ["[0.5, 1, 2]", "0.5;1;2", " 0.5; 1; 2 "])
def test_a_vector_is_a_json_array_or_numbers_between_semicolons(text: str) -> None:
    """Both spellings survive a CSV cell."""
    assert parser(Field("f", "float32", (3,)))(text) == [0.5, 1, 2]


@pytest.mark.parametrize("text", ["[1, 2", "1;x", "1;;2"])
def test_half_a_vector_is_rejected(text: str) -> None:
    """A cell that was cut off must not become a shorter vector."""
    with pytest.raises(RowRejected, match="is not a float32"):
        parser(Field("f", "float32", (3,)))(text)


def test_a_flat_list_fills_an_image_row_by_row() -> None:
    """Files without nested lists can still carry images."""
    image = unflattened(Field("f", "uint8", (2, 3)), [1, 2, 3, 4, 5, 6])

    assert isinstance(image, np.ndarray)
    assert image.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("value", [[[1, 2, 3], [4, 5, 6]], [1, 2], None])
def test_what_is_not_flat_or_not_whole_stays_as_it_is(value: object) -> None:
    """The layout judges shapes; here nothing is guessed."""
    assert unflattened(Field("f", "uint8", (2, 3)), value) is value
