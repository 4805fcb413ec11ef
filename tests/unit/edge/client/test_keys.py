"""A client writes keys as an edge does, though it knows nothing of its code."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.client.keys import KeyedBy, context_in_query, key_in_body, key_in_path, key_text
from precompute.key_text import join_parts

PARTS = st.lists(
    st.text(st.one_of(st.sampled_from("-~:/?#% +é"), st.characters(exclude_categories=["Cs"])), min_size=1),
    min_size=1,
    max_size=4,
)


@given(PARTS)
def test_parts_are_escaped_as_the_edge_escapes_them(parts: list[str]) -> None:
    """Or another entity would be asked for."""
    assert key_text(parts) == join_parts(parts)


@given(PARTS)
def test_a_key_is_one_segment_of_a_path(parts: list[str]) -> None:
    """Whatever stands in it."""
    written = key_in_path(parts)

    assert not set(written) & set("/?# ")
    assert unquote(written) == join_parts(parts)


def test_a_text_is_taken_as_it_is() -> None:
    """It is a key already; context behind its `?` stays with it."""
    assert key_text("UA~201:EWR") == "UA~201:EWR"
    assert key_in_path("UA1:EWR?hour=3") == "UA1:EWR%3Fhour%3D3"


def test_numbers_are_parts_too() -> None:
    """As many ids are."""
    assert key_text((17, "EWR")) == "17:EWR"


def test_an_empty_part_is_found_before_anybody_is_asked() -> None:
    """It would be another key with other parts."""
    with pytest.raises(ValueError, match="empty"):
        key_text(("UA1", ""))


def test_a_key_of_many_may_have_named_parts_and_context() -> None:
    """As `POST /v1/predict/{model}` takes it."""
    assert key_in_body(("a b", "c")) == "a~20b:c"
    assert key_in_body(KeyedBy({"item": "a b"}, {"hour": 3})) == {"key": {"item": "a b"}, "context": {"hour": 3}}
    assert key_in_body(KeyedBy(("a b", "c"))) == {"key": "a~20b:c", "context": {}}


def test_context_is_written_as_the_edge_reads_it() -> None:
    """Sorted, as in a canonical key, so that memory hits take their shortest way."""
    found = context_in_query({"vip": True, "hour": 3, "price": 0.1, "device": "phone"})

    assert list(found.items()) == [("device", "phone"), ("hour", "3"), ("price", "0.1"), ("vip", "true")]
