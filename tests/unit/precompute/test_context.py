"""Request-time features: typed, in range, and spelled in one way."""

from __future__ import annotations

from urllib.parse import parse_qsl

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from precompute.context import ContextField, canonical_context, parse_context, typed
from precompute.errors import InvalidContext
from precompute.views import Scalar

HOUR = ContextField("hour", "int64", 12, 0, 23)
PRICE = ContextField("price", "float32")
DEVICE = ContextField("device", "string", "phone", choices=("phone", "desk top"))
VIP = ContextField("vip", "bool", False)
SEATS = ContextField("seats", "int32", choices=(2, 4))
FIELDS = (HOUR, PRICE, DEVICE, VIP)

TEXTS = st.text(st.one_of(st.sampled_from("+&=~ %?#"), st.characters(exclude_categories=["Cs"])), min_size=1)
FLOATS32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


def _spelled(field: ContextField, raw: object) -> str:
    return canonical_context((field,), parse_context((field,), "", {field.name: raw}))


@pytest.mark.parametrize(
    ("field", "raws"),
    [
        (HOUR, [3, "3", "03", "+3", " 3 "]),
        (PRICE, [0.1, "0.1", ".1", "1e-1", 0.10000000149, float(np.float32(0.1))]),
        (PRICE, [0.0, -0.0, "0", "-0.0", 0, "1e-99", "-1e-99"]),
        (PRICE, [1e20, "1e20", "1e+20", 10**20]),
        (VIP, [True, "true", "1", 1]),
    ],
)
def test_one_value_has_one_spelling(field: ContextField, raws: list[object]) -> None:
    """However a value is written, as text or as JSON, it leads to one entry."""
    assert len({_spelled(field, raw) for raw in raws}) == 1


@given(FLOATS32)
def test_a_float32_and_its_spelling_are_one_to_one(number: float) -> None:
    """The spelling reads back as exactly the same float32, and as the same spelling."""
    spelled = _spelled(PRICE, number)

    (value,) = parse_context((PRICE,), spelled, {})

    assert np.float32(value) == np.float32(number)
    assert canonical_context((PRICE,), (value,)) == spelled


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float64_keeps_all_its_digits(number: float) -> None:
    """Two different doubles never meet in one entry."""
    field = ContextField("x", "float64")

    (value,) = parse_context((field,), _spelled(field, number), {})

    assert value == number


@given(TEXTS)
def test_a_spelling_survives_the_query_of_a_url(text: str) -> None:
    """What stands behind the `?` means the same to us and, but for our escapes, to any form decoder."""
    field = ContextField("q", "string")

    spelled = _spelled(field, text)

    assert parse_context((field,), spelled, {}) == (text,)
    assert parse_qsl(spelled, strict_parsing=True) == [("q", spelled.removeprefix("q="))]


@given(TEXTS, TEXTS)
def test_two_texts_never_share_a_spelling(one: str, other: str) -> None:
    """No pair of strings leads to one entry."""
    field = ContextField("q", "string")

    assert (_spelled(field, one) == _spelled(field, other)) == (one == other)


def test_defaults_and_order_do_not_matter() -> None:
    """A left-out default and pairs in another order meet in one entry, sorted by name."""
    left_out = parse_context(FIELDS, "price=2", {})
    written = parse_context(FIELDS, "vip=0&price=2.0&hour=12", {"device": "phone"})

    assert left_out == written == (12, 2.0, "phone", False)
    assert canonical_context(FIELDS, left_out) == "device=phone&hour=12&price=2.0&vip=false"


@pytest.mark.parametrize(
    ("query", "given_values", "complaint"),
    [
        ("", {}, "'price' .float32. is required"),
        ("price=1&price=2", {}, "'price' is given twice"),
        ("price=1", {"price": 1}, "'price' is given twice"),
        ("price=1&colour=red", {}, "unknown context 'colour'; this model takes: hour, price, device, vip"),
        ("price=1&hour=24", {}, r"hour=24 is outside \[0, 23\]"),
        ("price=1&hour=-1", {}, r"hour=-1 is outside \[0, 23\]"),
        ("price=1&hour=3.5", {}, "hour='3.5' is not a int64"),
        ("price=1&device=tv", {}, "device='tv' is not one of: phone, desk top"),
        ("price=1&device=", {}, "device='' is not a string"),
        ("price=nan", {}, "price='nan' is not a float32"),
        ("price=1e39", {}, "price='1e39' is not a float32"),
        ("price=~FF", {}, "does not spell UTF-8"),
        ("", {"price": None}, "price=None is not a float32"),
        ("", {"price": True}, "price=True is not a float32"),
        ("", {"price": [1]}, "is not a float32"),
        ("price=1", {"vip": 1.0}, "vip=1.0 is not a bool"),
        ("price=1", {"vip": 2}, "vip=2 is not a bool"),
        ("price=1", {"hour": True}, "hour=True is not a int64"),
        ("price=1", {"hour": 3.0}, "hour=3.0 is not a int64"),
        ("price=1", {"device": 3}, "device=3 is not a string"),
    ],
)
def test_a_wrong_context_says_what_is_wrong(query: str, given_values: dict[str, object], complaint: str) -> None:
    """Every mistake names the feature and what it must be."""
    with pytest.raises(InvalidContext, match=complaint):
        parse_context(FIELDS, query, given_values)


@pytest.mark.parametrize("raw", [2, "2", "02", 4])
def test_a_number_may_be_one_of_a_few(raw: object) -> None:
    """However it is written."""
    assert SEATS.parse(raw) in {2, 4}


def test_a_number_that_is_not_one_of_the_few_is_refused() -> None:
    """The message lists those that are."""
    with pytest.raises(InvalidContext, match="seats=3 is not one of: 2, 4"):
        SEATS.parse("3")


def test_what_a_key_brings_counts_more_than_what_holds_for_all() -> None:
    """Behind its `?` or beside it; what it leaves out is taken from the rest, and only then from the defaults."""
    shared = {"hour": 5, "price": 1, "vip": True}

    assert parse_context(FIELDS, "hour=3", {"device": "desk top"}, shared) == (3, 1.0, "desk top", True)


def test_what_holds_for_all_is_checked_as_well() -> None:
    """A mistake is a mistake wherever it stands, but a value that nobody uses is never looked at."""
    with pytest.raises(InvalidContext, match="unknown context 'colour'"):
        parse_context(FIELDS, "price=1", {}, {"colour": "red"})
    with pytest.raises(InvalidContext, match="hour=24 is outside"):
        parse_context(FIELDS, "price=1", {}, {"hour": 24})


def test_a_lone_surrogate_is_an_invalid_value() -> None:
    """JSON can spell half a character; no key can."""
    with pytest.raises(InvalidContext, match="is not a string"):
        parse_context((ContextField("q", "string"),), "", {"q": "\ud800"})


def test_a_context_that_fits_no_key_is_refused() -> None:
    """The context is bounded like the key in front of it."""
    fields = (ContextField("q", "string"),)

    with pytest.raises(InvalidContext, match="longer than 512 bytes"):
        canonical_context(fields, ("x" * 600,))


@pytest.mark.parametrize("raw", ["9" * 5000, "1e999", "-1e999", "٣" * 40, float("inf"), 10**400])
@pytest.mark.parametrize("kind", ["int32", "int64", "uint8", "float32", "float64", "bool"])
def test_absurd_numbers_are_no_values(kind: str, raw: object) -> None:
    """Numbers beyond every type are refused, not turned into infinity and not a crash."""
    assert typed(kind, raw) is None or np.isfinite(float(raw))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "least", "greatest"), [("uint8", 0, 255), ("int32", -(2**31), 2**31 - 1), ("int64", -(2**63), 2**63 - 1)]
)
def test_integers_end_where_their_type_ends(kind: str, least: Scalar, greatest: Scalar) -> None:
    """The first integer outside the type is refused."""
    assert [typed(kind, least), typed(kind, greatest)] == [least, greatest]
    assert typed(kind, int(least) - 1) is typed(kind, int(greatest) + 1) is None
