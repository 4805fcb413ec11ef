"""Tables of the project file by themselves: short forms, defaults in the feature's type, policies."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from precompute.context import ContextField
from precompute.declarations import ContextTable, FieldTable, ModelTable, PolicyTable, ViewTable
from precompute.models import Policy
from precompute.views import Field, Missing, Scalar


@pytest.mark.parametrize(
    ("kind", "written", "default"),
    [
        ("float32", 3, 3.0),
        ("float32", 0.1, 0.1),
        ("float64[4]", 1e300, 1e300),
        ("int32", -5, -5),
        ("uint8[2,2]", 255, 255),
        ("bool", True, True),
        ("bool", 0, False),
        ("string", "", ""),
        ("string", "none", "none"),
    ],
)
def test_a_default_has_the_type_of_its_field(kind: str, written: Scalar, default: Scalar) -> None:
    """What TOML holds becomes a value of the feature's type, the empty string included."""
    field = FieldTable.model_validate({"type": kind, "default": written}).build("x")

    assert (field.missing, field.default) == (Missing.DEFAULT, default)
    assert type(field.default) is type(default)


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("float32", "3"),
        ("float32", 1e39),
        ("float64", float("nan")),
        ("int32", 2**31),
        ("int32", 1.0),
        ("int64", True),
        ("uint8", -1),
        ("bool", 2),
        ("string", 1),
        ("string", True),
    ],
)
def test_a_default_of_another_type_is_refused(kind: str, written: Scalar) -> None:
    """Numbers as text, text as numbers, and numbers beyond the type are mistakes."""
    for table in (FieldTable, ContextTable):
        with pytest.raises(ValidationError, match="is not a"):
            table.model_validate({"type": kind, "default": written})


def test_a_default_of_the_request_is_spelled_like_a_given_value() -> None:
    """A left-out value and the same value written out meet in one entry."""
    zero = ContextTable.model_validate({"type": "float32", "default": -0.0}).build("x")
    flag = ContextTable.model_validate({"type": "bool", "default": 1}).build("x")

    assert ContextField.spell(zero.default or 0.0) == ContextField.spell(zero.parse("0"))
    assert (flag.default, flag.parse("true")) == (True, True)


def test_a_type_alone_is_the_short_form() -> None:
    """`speed = "float32"` is `{ type = "float32" }`, for fields and for context."""
    view = ViewTable.model_validate({"fields": {"speed": "float32"}}).build("wind")
    model = ModelTable.model_validate({"key": ["wind"], "inputs": {"x": "wind.speed"}, "context": {"hour": "int64"}})

    assert view.fields == (Field("speed", "float32"),)
    assert model.context["hour"].build("hour") == ContextField("hour", "int64")


def test_nothing_declared_is_the_policy_of_the_code() -> None:
    """The defaults of the table are the defaults of `Policy`: there is one truth."""
    assert Policy(**PolicyTable().model_dump()) == Policy()
