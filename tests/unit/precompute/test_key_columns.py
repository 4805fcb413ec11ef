"""Keys composed from columns are the keys that each row would have alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from precompute.context import ContextField
from precompute.errors import InvalidContext, InvalidKey, InvalidRequest, PermanentError
from precompute.key_columns import compose_keys
from precompute.key_text import join_parts
from precompute.models import Key, Model, Variant, dependency

PARTS = ("user", "item")
HOUR = ContextField("hour", "int64", 12, 0, 23)
PRICE = ContextField("price", "float32", 1.0)
TEXTS = st.text(st.one_of(st.sampled_from("-~:/? é"), st.characters(exclude_categories=["Cs"])), min_size=1, max_size=9)


def _model(*context: ContextField) -> Model:
    dependencies = (dependency("user", "{user}", PARTS), dependency("item", "{item}", PARTS))
    return Model("score", PARTS, dependencies, (), {"default": Variant("default")}, "default", context)


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=5), st.integers(0, 23))
def test_a_row_has_the_key_that_it_has_alone(user: str, items: list[str], hour: int) -> None:
    """Whatever stands in the parts, with context for all."""
    model = _model(HOUR, PRICE)

    keys = compose_keys(model, {"user": user}, {"item": items}, {"hour": hour})

    assert keys == [model.parse_key(join_parts([user, item]), {"hour": hour}) for item in items]


@given(st.lists(st.tuples(TEXTS, st.integers(0, 23)), min_size=1, max_size=5))
def test_context_may_differ_between_rows(rows: list[tuple[str, int]]) -> None:
    """A column of request-time features beside one of parts, and the rest for all."""
    model = _model(HOUR, PRICE)
    items, hours = zip(*rows, strict=True)

    keys = compose_keys(model, {"user": 7}, {"item": items, "hour": hours}, {"price": 2})

    assert keys == [model.parse_key(join_parts(["7", item]), {"hour": hour, "price": 2.0}) for item, hour in rows]


def test_only_context_may_differ() -> None:
    """One key at several hours: which is the best one?"""
    keys = compose_keys(_model(HOUR), {"user": "u", "item": "i"}, {"hour": [3, "04"]}, {})

    assert keys == [Key("u:i?hour=3", ("u", "i"), (3,)), Key("u:i?hour=4", ("u", "i"), (4,))]


def test_every_part_may_differ() -> None:
    """Rows of whole keys, without anything shared."""
    keys = compose_keys(_model(), {}, {"user": ["u", "v"], "item": ["i", "j"]}, {})

    assert keys == [Key("u:i", ("u", "i")), Key("v:j", ("v", "j"))]


def test_a_bad_value_is_wrong_for_its_own_row() -> None:
    """Empty, too long, or out of range: its neighbours have keys all the same."""
    columns = {"item": ["a", "", "x" * 600, "b", "c"], "hour": [1, 2, 3, 24, "soon"]}

    found = compose_keys(_model(HOUR), {"user": "u"}, columns, {})

    assert [type(key) for key in found] == [Key, InvalidKey, InvalidKey, InvalidContext, InvalidContext]
    assert "outside [0, 23]" in str(found[3])


@pytest.mark.parametrize(
    ("fixed", "columns", "context", "kind", "complaint"),
    [
        ({}, {"item": ["i"]}, {}, InvalidKey, "'user' is missing"),
        ({"user": "u"}, {"hour": [1]}, {}, InvalidKey, "'item' is missing"),
        ({"user": "u", "item": "i"}, {"item": ["i"]}, {}, InvalidKey, "'item' is given as part of the key and of"),
        ({"user": "u", "shop": "s"}, {"item": ["i"]}, {}, InvalidKey, "'shop' is no part of the key"),
        ({"user": ""}, {"item": ["i"]}, {}, InvalidKey, "empty"),
        (
            {"user": "u"},
            {"item": ["i"], "colour": ["red"]},
            {},
            InvalidRequest,
            "'colour' is neither .* user, item, hour",
        ),
        ({"user": "u"}, {"item": ["i", "j"], "hour": [1]}, {}, InvalidRequest, "differ in length: item 2, hour 1"),
        ({"user": "u"}, {"item": ["i"], "hour": [1]}, {"hour": 1}, InvalidContext, "'hour' is given twice"),
        ({"user": "u"}, {"item": ["i"]}, {"hour": 24}, InvalidContext, "outside"),
        ({"user": "u"}, {"item": ["i"]}, {"day": 1}, InvalidContext, "unknown context 'day'"),
    ],
)
def test_what_is_wrong_with_the_columns_is_wrong_for_all(
    fixed: dict[str, str | int],
    columns: dict[str, list[str | float]],
    context: dict[str, object],
    kind: type[PermanentError],
    complaint: str,
) -> None:
    """The error names the column, the part or the feature."""
    with pytest.raises(kind, match=complaint):
        compose_keys(_model(HOUR), fixed, columns, context)
