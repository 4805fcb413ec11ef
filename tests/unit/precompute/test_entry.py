"""A stored prediction reads back as it was, and never as another key's."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from precompute.entry import EPOCH_RANGE, Entry, decode, epoch_of, header, identity, identity_prefix, mark_stale, tail
from precompute.errors import EntryCorrupt
from precompute.key_text import escape_part
from precompute.updates import AsOf

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).map(escape_part)
NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,5}", fullmatch=True)
IDENTITIES = st.tuples(NAMES, st.integers(1, 9), NAMES, KEYS)
AS_OF = st.builds(AsOf, st.integers(0, 2**32 - 1), st.lists(st.integers(0, 2**62), max_size=5).map(tuple))
TIMES = st.integers(0, 4_102_444_800_000)


def _body(who: tuple[str, int, str, str], as_of: AsOf, computed_ms: int) -> bytes:
    return identity(*who) + b'"outputs":{"late":0.25}' + tail(as_of, computed_ms)


KNOWN = AsOf(7, (1_380_585_600_123 << 20, 5))


@given(IDENTITIES, st.builds(AsOf, st.integers(0, 2**32 - 1), st.just((5, 1 << 60))), TIMES)
def test_an_entry_reads_back_as_it_was(who: tuple[str, int, str, str], as_of: AsOf, computed_ms: int) -> None:
    """Header and body of any prediction decode under its own identity."""
    body = _body(who, as_of, computed_ms)

    entry = decode(header(as_of, computed_ms) + body, identity(*who))

    assert entry == Entry(as_of.epoch, as_of.ids, computed_ms, body)


@given(AS_OF)
def test_any_number_of_dependencies_fits(as_of: AsOf) -> None:
    """The as-of of every dependency comes back, in order."""
    who = ("late", 1, "fast", "k")

    assert decode(header(as_of, 5) + _body(who, KNOWN, 5), identity(*who)).as_of == as_of.ids


@given(IDENTITIES, IDENTITIES)
def test_another_keys_entry_never_decodes(mine: tuple[str, int, str, str], others: tuple[str, int, str, str]) -> None:
    """Bytes of any other model, version, variant or key are refused: one key never gets another's prediction."""
    assume(mine != others)
    value = header(KNOWN, 5) + _body(others, KNOWN, 5)

    with pytest.raises(EntryCorrupt, match="expected"):
        decode(value, identity(*mine))


@given(KEYS, KEYS)
def test_a_key_that_begins_like_another_is_another(key: str, more: str) -> None:
    """Neither the longer nor the shorter of two keys is taken for the other."""
    short, long = ("m", 1, "v", key), ("m", 1, "v", key + more)

    for asked, stored in [(short, long), (long, short)]:
        with pytest.raises(EntryCorrupt):
            decode(header(KNOWN, 5) + _body(stored, KNOWN, 5), identity(*asked))


@given(st.binary(max_size=80))
def test_foreign_bytes_never_decode(value: bytes) -> None:
    """Whatever lies under the key, it is an entry of this key or `EntryCorrupt`."""
    with pytest.raises(EntryCorrupt):
        decode(value, identity("late", 1, "fast", "UA1"))


@given(epoch=st.integers(0, 2**32 - 1), computed_ms=st.integers(0, 2**63))
def test_the_epoch_can_be_read_alone(epoch: int, computed_ms: int) -> None:
    """Of a whole entry it takes four bytes; of none there is none."""
    value = header(AsOf(epoch, (7, 8)), computed_ms) + b"{}"
    first, last = EPOCH_RANGE

    assert epoch_of(value[first : last + 1]) == epoch
    assert epoch_of(b"") is None


def test_an_entry_cut_short_anywhere_is_refused() -> None:
    """No prefix of a stored value passes for it."""
    who = ("late", 1, "fast", "UA1")
    value = header(KNOWN, 5) + _body(who, KNOWN, 5)

    for size in range(len(value)):
        # A body that happens to end with an inner brace is still refused, or equal to nothing stored.
        if value[:size].endswith(b"}") and size > value.index(b'late":0.25'):
            continue
        with pytest.raises(EntryCorrupt):
            decode(value[:size], identity(*who))


def test_an_entry_of_another_format_says_so() -> None:
    """A rolling upgrade meets entries of the other release: a miss, with a reason."""
    who = ("late", 1, "fast", "UA1")
    value = bytes([9]) + (header(KNOWN, 5) + _body(who, KNOWN, 5))[1:]

    with pytest.raises(EntryCorrupt, match="format 9, this release reads 1"):
        decode(value, identity(*who))


@given(IDENTITIES, st.lists(TIMES.map(lambda ms: ms << 20), max_size=3), TIMES)
def test_the_body_is_json_with_all_that_is_promised(
    who: tuple[str, int, str, str], ids: list[int], computed_ms: int
) -> None:
    """Model, version, variant, key, outputs, as_of and computed_at, for any canonical key."""
    body = _body(who, AsOf(1, tuple(ids)), computed_ms)

    answer = orjson.loads(body)

    assert tuple(answer) == ("model", "version", "variant", "key", "outputs", "as_of", "computed_at")
    assert tuple(answer.values())[:5] == (*who, {"late": 0.25})


def test_as_of_is_the_newest_change_that_is_known() -> None:
    """People see one time: the latest of the dependencies' logs."""
    answer = orjson.loads(_body(("late", 1, "fast", "k"), KNOWN, 1_380_585_601_000))

    assert (answer["as_of"], answer["computed_at"]) == ("2013-10-01T00:00:00.123Z", "2013-10-01T00:00:01.000Z")


def test_a_stale_answer_says_so() -> None:
    """The body stays JSON and gains one member; nothing else changes."""
    body = _body(("late", 1, "fast", "k"), KNOWN, 5)

    stale = orjson.loads(mark_stale(body))

    assert stale == orjson.loads(body) | {"stale": True}


def test_a_small_entry_fits_the_allocators_class() -> None:
    """150 bytes of JSON and three dependencies stay within 192 bytes, Redis' own header of 3 included."""
    assert len(header(AsOf(1, (1, 2, 3)), 5)) + 150 + 3 <= 192


def test_all_keys_of_a_version_share_a_beginning() -> None:
    """The prefix that a batch computes once is the beginning of each identity."""
    assert identity("late", 3, "fast", "k").startswith(identity_prefix("late", 3, "fast"))
