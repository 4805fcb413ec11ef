"""Rows of any view survive packing, and know which layout they have."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from precompute.errors import RowRejected
from precompute.rows import STAMP, Layout, Stamp, layout_id, stamp
from precompute.views import Field, Missing, View

FLOATS = {
    "float32": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "float64": st.floats(allow_nan=False, allow_infinity=False),
}
ELEMENTS: dict[str, st.SearchStrategy[Any]] = FLOATS | {
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint8": st.integers(0, 255),
    "bool": st.booleans(),
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
}
SHAPES = st.sampled_from([(), (), (1,), (3,), (2, 2)])


@st.composite
def fields(draw: st.DrawFn, name: str) -> Field:
    """A field of any type, shape and policy."""
    kind = draw(st.sampled_from(sorted(ELEMENTS)))
    shape = () if kind == "string" else draw(SHAPES)
    missing = draw(st.sampled_from([Missing.ERROR, Missing.DEFAULT, *([Missing.NAN] if kind in FLOATS else [])]))
    return Field(name, kind, shape, missing, draw(ELEMENTS[kind]) if missing is Missing.DEFAULT else None)


@st.composite
def views(draw: st.DrawFn) -> View:
    """A view of up to ten fields."""
    count = draw(st.integers(1, 10))
    return View("view", "thing", tuple(draw(fields(f"f{i}")) for i in range(count)))


def _nested(draw: st.DrawFn, field: Field) -> Any:
    values = [draw(ELEMENTS[field.kind]) for _ in range(field.size)]
    return np.array(values, field.dtype).reshape(field.shape).tolist() if field.shape else values[0]


@st.composite
def rows(draw: st.DrawFn) -> tuple[View, dict[str, Any]]:
    """A view, and a row of it in which whatever may be missing sometimes is."""
    view = draw(views())
    values = {}
    for field in view.fields:
        if field.missing is Missing.ERROR or draw(st.booleans()):
            values[field.name] = _nested(draw, field)
        elif draw(st.booleans()):
            values[field.name] = None
    return view, values


def _packed(layout: Layout, values: dict[str, Any]) -> bytes:
    return STAMP.pack(1, 2, 3) + layout.encode(values)


@given(rows())
def test_a_row_reads_back_as_it_was(row: tuple[View, dict[str, Any]]) -> None:
    """All types, shapes and missing values survive packing, floats bit for bit."""
    view, values = row
    layout = Layout(view)

    packed = _packed(layout, values)

    assert layout.fits(packed)
    assert layout_id(packed) == layout.id
    assert layout.decode(packed) == {f.name: values.get(f.name) for f in view.fields}


@given(rows())
def test_equal_values_pack_to_equal_bytes(row: tuple[View, dict[str, Any]]) -> None:
    """ "No change" is one comparison of bytes, however the values were handed over."""
    view, values = row
    layout = Layout(view)
    as_arrays = {name: np.array(value) if isinstance(value, list) else value for name, value in values.items()}
    left_out = {name: value for name, value in values.items() if value is not None}

    assert layout.encode(values) == layout.encode(as_arrays) == layout.encode(left_out)


@given(views())
def test_an_absent_row_has_nothing_in_it(view: View) -> None:
    """What stands in for a row that is not there fits the layout, everything in it missing, floats NaN."""
    layout = Layout(view)

    assert layout.fits(layout.absent)
    assert set(layout.decode(layout.absent).values()) == {None}
    for field in layout.numbers:
        if field.is_float:
            raw = np.frombuffer(layout.absent, field.dtype, field.size, layout.offset[field.name])
            assert np.isnan(raw.astype(float)).all()


@given(views(), views())
def test_a_row_of_another_layout_does_not_fit(one: View, other: View) -> None:
    """Views that differ in a name, a type or the order of fields have different layouts."""
    same = [(f.name, str(f)) for f in one.fields] == [(f.name, str(f)) for f in other.fields]

    assert Layout(one).fits(Layout(other).absent) == same


def test_a_row_of_another_size_does_not_fit() -> None:
    """A row that is cut short, or longer than its layout allows, is not read as a whole one."""
    numbers = Layout(View("v", "v", (Field("x", "float32"),)))
    texts = Layout(View("v", "v", (Field("x", "float32"), Field("s", "string"))))

    assert not numbers.fits(numbers.absent[:-1])
    assert not numbers.fits(numbers.absent + b"x")
    assert not texts.fits(texts.absent[: texts.fixed_size - 1])
    assert not numbers.fits(b"")


def test_policies_are_no_part_of_the_layout() -> None:
    """Changing what is done about missing values leaves stored rows as they are."""
    strict = Layout(View("v", "v", (Field("x", "float32"),)))
    lenient = Layout(View("v", "v", (Field("x", "float32", (), Missing.DEFAULT, 1.0),)))

    assert strict.id == lenient.id


@given(st.integers(-(2**62), 2**62), st.integers(0, 2**42), st.integers(0, 2**20 - 1))
def test_the_stamp_reads_back(event_ms: int, ms: int, sequence: int) -> None:
    """Event time and update id, as the script on the server writes them."""
    assert stamp(STAMP.pack(event_ms, ms, sequence)) == Stamp(event_ms, ms << 20 | sequence)


@given(views(), st.data())
def test_a_missing_value_needs_a_policy(view: View, data: st.DataObject) -> None:
    """Left out, None or NaN: a field without a policy refuses the row and names itself."""
    layout = Layout(view)
    strict = [f for f in view.fields if f.missing is Missing.ERROR]
    gone = data.draw(st.sampled_from([None, math.nan, np.float32("nan")]))

    if not strict:
        assert layout.decode(_packed(layout, {f.name: gone for f in view.fields})).keys() == layout.bit.keys()
        return
    with pytest.raises(RowRejected, match=rf"view\.{strict[0].name} .* is missing and has no policy"):
        layout.encode({f.name: gone for f in view.fields})


def test_an_unknown_field_is_refused() -> None:
    """A misspelt field is a mistake, not something to ignore; the message lists the right ones."""
    layout = Layout(View("weather", "airport", (Field("temp", "float32"), Field("wind", "float32"))))

    with pytest.raises(RowRejected, match="view 'weather' has no field 'tmp'; it has: temp, wind"):
        layout.encode({"temp": 1.0, "wind": 2.0, "tmp": 3.0})


@given(rows(), views())
def test_a_row_adopted_by_another_layout_keeps_what_both_know(row: tuple[View, dict[str, Any]], new: View) -> None:
    """Fields of the same name and type keep their values, all others are missing; the stamp stays."""
    view, values = row
    old, layout = Layout(view), Layout(new)
    packed = _packed(old, values)

    adopted = layout.adopt(packed, old)

    shared = {f.name for f in new.fields if (was := view.field(f.name)) and str(was) == str(f)}
    assert layout.fits(adopted)
    assert stamp(adopted) == stamp(packed)
    assert layout.decode(adopted) == {f.name: values.get(f.name) if f.name in shared else None for f in new.fields}
