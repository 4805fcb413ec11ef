"""Keys have one spelling each, survive URLs, and never mix up two entities."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from precompute import key_text
from precompute.errors import InvalidKey

#: Any text that UTF-8 can hold, with what is special to keys, URLs, Redis and JSON more often than by chance.
VALUES = st.text(
    st.one_of(st.sampled_from('~:?&=%+/{}"\\ \n\x00\x7f\xa0é~41'), st.characters(exclude_categories=["Cs"])), min_size=1
)
#: What a client may send as one part: anything but the separator, escapes good and bad included.
WRITTEN = st.text(st.one_of(st.sampled_from("~0419AFaf.x"), st.characters()), min_size=1).map(
    lambda text: text.replace(":", "~3A")
)
LONE_SURROGATE = "\ud800"


@given(VALUES)
def test_an_escaped_value_reads_back_as_itself(value: str) -> None:
    """Escaping and reading back gives the same value, whatever is in it."""
    part = key_text.escape_part(value)

    assert key_text.unescape_part(part) == value


@given(VALUES, VALUES)
def test_two_values_never_share_a_spelling(one: str, other: str) -> None:
    """Different values have different spellings, so no prediction is found under another's key."""
    assert (key_text.escape_part(one) == key_text.escape_part(other)) == (one == other)


@given(VALUES)
def test_an_escaped_value_is_canonical(value: str) -> None:
    """What `escape_part` writes is the spelling that `canonical_part` keeps."""
    part = key_text.escape_part(value)

    assert key_text.canonical_part(part) == part


@given(WRITTEN)
def test_a_written_part_has_one_spelling(written: str) -> None:
    """A part as a client wrote it is refused, or becomes a spelling that is stable and means the same."""
    try:
        part = key_text.canonical_part(written)
    except InvalidKey:
        return

    assert key_text.canonical_part(part) == part
    assert key_text.unescape_part(part) == key_text.unescape_part(written)


@given(VALUES)
def test_a_spelling_holds_nothing_that_confuses(value: str) -> None:
    """No separator, brace, quote, control character or URL syntax is left, and percent-encoding cannot change it."""
    part = key_text.escape_part(value)

    assert not re.search(r"[\x00-\x20:/?#&=%{}\[\]\"\\\x7f-\xa0]", part)
    assert unquote(quote(part)) == part == unquote(part)


@given(VALUES)
def test_every_byte_may_be_written_as_an_escape(value: str) -> None:
    """A client that escapes more than it must, in either case, means the same key."""
    escaped = "".join(f"~{byte:02x}" for byte in value.encode())

    assert key_text.canonical_part(escaped) == key_text.escape_part(value)


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_a_key_splits_into_the_parts_it_was_joined_from(values: list[str]) -> None:
    """Joining raw values and splitting the key gives each value's spelling."""
    names = tuple(f"part{i}" for i in range(len(values)))
    key = key_text.join_parts(values)
    if len(key.encode()) > key_text.MAX_KEY_BYTES:
        return

    parts = key_text.split_parts(key, names)

    assert parts == tuple(map(key_text.escape_part, values))
    assert key_text.SEPARATOR.join(parts) == key


@pytest.mark.parametrize("written", ["~FF", "~C3", "~ED~A0~80", LONE_SURROGATE, "~41" + LONE_SURROGATE, "a ~20\udfff"])
def test_what_is_no_utf8_is_refused(written: str) -> None:
    """Escapes that spell no UTF-8, and lone surrogates, are an invalid key and not a crash."""
    with pytest.raises(InvalidKey):
        key_text.split_parts(written, ("user",))


@pytest.mark.parametrize("key", ["", "a", "a::c", ":b:c", "a:b:", "a:b:c:d"])
def test_a_key_of_another_shape_shows_the_expected_one(key: str) -> None:
    """Empty, missing and surplus parts are refused with the shape to use instead."""
    with pytest.raises(InvalidKey, match="<flight>:<origin>:<plane>"):
        key_text.split_parts(key, ("flight", "origin", "plane"))


@pytest.mark.parametrize("character", ["a", "é", "\U0001f600", " "])
def test_a_key_may_be_as_long_as_the_limit_and_no_longer(character: str) -> None:
    """The limit counts bytes of the canonical spelling."""
    size = len(key_text.escape_part(character).encode())
    longest = character * (key_text.MAX_KEY_BYTES // size)

    assert len(key_text.split_parts(longest, ("user",))[0].encode()) <= key_text.MAX_KEY_BYTES
    with pytest.raises(InvalidKey, match="longer than 512 bytes"):
        key_text.split_parts(longest + character, ("user",))


def test_a_complaint_about_a_long_key_is_short() -> None:
    """A message repeats only the beginning of what a client sent."""
    with pytest.raises(InvalidKey) as caught:
        key_text.split_parts("x" * 1_000_000, ("user",))

    assert len(str(caught.value)) < 300
