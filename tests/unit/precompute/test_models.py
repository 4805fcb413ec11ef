"""A key as a client wrote it becomes the one key, and says which entities it is about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from precompute.context import ContextField
from precompute.errors import InvalidContext, InvalidKey
from precompute.key_text import MAX_KEY_BYTES, canonical_part, join_parts
from precompute.models import Key, Model, Policy, Variant, dependency

PARTS = ("flight", "origin", "dest")
VALUES = st.text(st.one_of(st.sampled_from("-~:/ é"), st.characters(exclude_categories=["Cs"])), min_size=1, max_size=9)


def _model(context: tuple[ContextField, ...] = ()) -> Model:
    dependencies = (
        dependency("flight", "{flight}", PARTS),
        dependency("route", "{origin}-{dest}", PARTS),
        dependency("label", "from {origin}/{origin}", PARTS),
    )
    return Model("late", PARTS, dependencies, (), {"default": Variant("default")}, "default", context)


def test_a_plain_key_stands_for_itself() -> None:
    """Without context and escapes, text, parts and key are what was written."""
    assert _model().parse_key("UA1:EWR:ORD") == Key("UA1:EWR:ORD", ("UA1", "EWR", "ORD"))


@given(VALUES, VALUES, VALUES)
def test_a_key_reads_back_as_itself(flight: str, origin: str, dest: str) -> None:
    """Parsing the text of a parsed key changes nothing."""
    text = join_parts([flight, origin, dest])
    if len(text.encode()) > MAX_KEY_BYTES:
        return

    key = _model().parse_key(text)

    assert key.text == text
    assert _model().parse_key(key.text) == key


def test_a_key_with_context_reads_back_as_itself() -> None:
    """Context behind `?` and beside the key lead to one text, which reads back as the same key."""
    fields = (ContextField("hour", "int64", 12), ContextField("device", "string", "phone"))
    model = _model(fields)

    behind = model.parse_key("UA1:EWR:ORD?hour=03")
    beside = model.parse_key("UA1:EWR:ORD", {"hour": "3", "device": "phone"})

    assert behind == beside == Key("UA1:EWR:ORD?device=phone&hour=3", ("UA1", "EWR", "ORD"), (3, "phone"))
    assert model.parse_key(behind.text) == behind


@given(VALUES, VALUES, VALUES)
def test_a_key_may_come_in_raw_parts(flight: str, origin: str, dest: str) -> None:
    """Named, in any order, and without escapes: the same key as in one text."""
    composed = _model().compose_key({"dest": dest, "flight": flight, "origin": origin})

    assert composed == join_parts([flight, origin, dest])


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({"flight": "UA1", "origin": "EWR"}, "'dest' is missing from the key; expected <flight>:<origin>:<dest>"),
        ({"flight": "UA1", "origin": "EWR", "dest": "ORD", "plane": "N1"}, "'plane' is no part of the key"),
        ({"flight": "UA1", "origin": "", "dest": "ORD"}, "empty"),
        ({}, "'flight' is missing"),
    ],
)
def test_parts_that_make_no_key_are_named(parts: dict[str, str | int], complaint: str) -> None:
    """What is missing, or does not belong there."""
    with pytest.raises(InvalidKey, match=complaint):
        _model().compose_key(parts)


def test_numbers_are_parts_too() -> None:
    """Many ids are numbers to their applications."""
    assert _model().compose_key({"flight": 17, "origin": "EWR", "dest": -1}) == "17:EWR:-1"


def test_a_model_without_context_takes_none() -> None:
    """Something behind `?` is a mistake, not ignored: it might have been meant to change the answer."""
    assert _model().parse_key("a:b:c?").text == "a:b:c"
    with pytest.raises(InvalidContext, match="unknown context 'hour'; this model takes: none"):
        _model().parse_key("a:b:c?hour=3")
    with pytest.raises(InvalidContext, match="unknown context"):
        _model().parse_key("a:b:c", {"hour": 3})


def test_a_question_mark_inside_a_part_must_be_escaped() -> None:
    """The first `?` ends the key."""
    assert _model().parse_key("a:b:c~3F").parts == ("a", "b", "c~3F")
    with pytest.raises(InvalidKey):
        _model().parse_key("a?b:c:d")


@given(VALUES, VALUES, VALUES)
def test_entities_are_named_as_rows_are_stored(flight: str, origin: str, dest: str) -> None:
    """Whatever stands in the parts and between them, the entity is spelled as putting its row spells it."""
    parts = tuple(map(canonical_part, join_parts([flight, origin, dest]).split(":")))

    entities = _model().entities(Key("any", parts))

    assert entities == tuple(map(canonical_part, entities))
    assert entities == (parts[0], f"{parts[1]}-{parts[2]}", f"from~20{parts[1]}~2F{parts[1]}")


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{plane}", "uses 'plane', which is no part of the key"),
        ("{}", "uses '', which is no part of the key"),
        ("flight", "names no part of the key; write for example {flight}"),
        ("", "names no part of the key"),
        ("{flight}~FF", "does not spell UTF-8"),
    ],
)
def test_a_template_that_names_no_entity_is_refused(template: str, complaint: str) -> None:
    """A template uses parts of the key, and nothing that no row could be called."""
    with pytest.raises(InvalidKey, match=complaint):
        dependency("flight", template, PARTS)


def test_an_entry_is_kept_as_long_as_it_may_be_served_stale() -> None:
    """The longer of the two allowances decides."""
    assert Policy(ttl_s=60).keep_s == 60
    assert Policy(ttl_s=60, stale_while_revalidate_s=10, stale_if_error_s=3600).keep_s == 3660


def test_a_model_shows_its_shape() -> None:
    """For people who asked with another one."""
    assert _model().shape() == "<flight>:<origin>:<dest>"
