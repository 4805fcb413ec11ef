"""Schemas accept what the code accepts."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.openapi.schemas import context_schema, key_schema, of_types
from precompute.context import ContextField
from precompute.key_text import join_parts
from precompute.models import Model, Variant

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9)
MODEL = Model("score", ("user", "item"), (), (), {"default": Variant("default")}, "default")


@given(TEXTS, TEXTS)
def test_every_key_fits_its_schema(user: str, item: str) -> None:
    """However its parts are called."""
    text = join_parts([user, item])

    assert re.search(key_schema(MODEL)["pattern"], text)


@pytest.mark.parametrize("text", ["a", "a:", ":b", "a:b:c", ""])
def test_a_key_of_another_shape_does_not_fit(text: str) -> None:
    """Too few parts, too many, or empty ones."""
    assert not re.search(key_schema(MODEL)["pattern"], text)


@pytest.mark.parametrize(
    ("field", "schema"),
    [
        (ContextField("hour", "int64", 12, 0, 23), {"type": "integer", "minimum": 0, "maximum": 23, "default": 12}),
        (ContextField("n", "uint8"), {"type": "integer", "minimum": 0, "maximum": 255}),
        (ContextField("p", "float32", None, 0.5), {"type": "number", "minimum": 0.5}),
        (ContextField("vip", "bool", False), {"type": "boolean", "default": False}),
        (ContextField("q", "string"), {"type": "string", "minLength": 1}),
        (ContextField("d", "string", choices=("a", "b")), {"type": "string", "enum": ["a", "b"]}),
        (ContextField("s", "int32", 2, choices=(2, 4)), {"enum": [2, 4], "default": 2}),
    ],
)
def test_context_is_described_as_declared(field: ContextField, schema: dict[str, object]) -> None:
    """Type, range, choices and default."""
    assert context_schema(field) == schema


class Inner(msgspec.Struct):
    """What is inside."""

    a: int


class Outer(msgspec.Struct):
    """What is outside.

    Attributes:
        b, c: numbers of a kind.
        inner: the other one.
    """

    b: int
    c: int
    inner: Inner


def test_what_a_docstring_says_of_attributes_is_said_of_them() -> None:
    """And names are kept apart where they must be."""
    found = of_types([Outer], "x.")

    assert found["x.Outer"]["description"] == "What is outside."
    assert found["x.Outer"]["properties"] == {
        "b": {"type": "integer", "description": "numbers of a kind."},
        "c": {"type": "integer", "description": "numbers of a kind."},
        "inner": {"$ref": "#/components/schemas/x.Inner", "description": "the other one."},
    }
    assert found["x.Inner"]["description"] == "What is inside."
