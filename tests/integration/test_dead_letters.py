"""What could not be read waits in the store until somebody decides."""

from __future__ import annotations

import pytest

from precompute import dead_letters
from precompute.dead_letters import MOST, Kind, Letter
from precompute.errors import InvalidRequest
from precompute.keys import dead_key, log_key
from precompute.store import Store

pytestmark = pytest.mark.integration


def letter(number: int = 0, kind: Kind = "updates", *content: bytes) -> Letter:
    """A record of the weather, or an entry."""
    source = log_key("weather") if kind == "updates" else "p:late:1:UA1"
    return Letter(kind, source, f"5-{number}", "names no entity", 1, content or (b"x", b"\xff"))


def test_letters_are_listed_newest_first_and_once(store: Store) -> None:
    """Two readers may set the same one aside."""
    first, second, entry = letter(1), letter(2), letter(0, "entries", b"cut sho")
    dead_letters.add(store, first, second, entry, first)

    assert dead_letters.recent(store) == [first, second, entry]
    assert dead_letters.find(store, second.id) == second
    with pytest.raises(InvalidRequest, match="no dead letter 'nonsense'"):
        dead_letters.find(store, "nonsense")


def test_only_the_latest_are_kept(store: Store) -> None:
    """A producer that has gone wrong must not fill the server."""
    dead_letters.add(store, *(letter(number) for number in range(MOST + 5)))

    assert store.call("LLEN", dead_key("updates")) == MOST
    assert dead_letters.recent(store)[0].record == f"5-{MOST + 4}"


def test_a_replayed_record_is_in_its_log_again(store: Store) -> None:
    """With its own bytes; the letter is gone."""
    dead_letters.add(store, letter(), letter())

    dead_letters.replay(store, letter())

    ((_, fields),) = store.call("XRANGE", log_key("weather"), "-", "+")
    assert fields == [b"x", b"\xff"]
    assert dead_letters.recent(store) == []


def test_a_record_may_be_told_what_it_should_have_named(store: Store) -> None:
    """So that edges and refreshers take notice."""
    dead_letters.replay(store, letter(), entity="JFK")

    ((_, fields),) = store.call("XRANGE", log_key("weather"), "-", "+")
    assert fields == [b"e", b"JFK"]


def test_a_replayed_entry_is_computed_by_the_next_who_asks(store: Store) -> None:
    """Unless somebody has computed it already."""
    store.call("SET", "p:late:1:UA1", b"cut sho")
    dead_letters.replay(store, letter(0, "entries", b"cut sho"))
    after_first = store.call("GET", "p:late:1:UA1")
    store.call("SET", "p:late:1:UA1", b"whole")

    dead_letters.replay(store, letter(0, "entries", b"cut sho"))

    assert after_first is None
    assert store.call("GET", "p:late:1:UA1") == b"whole"


def test_a_dropped_letter_is_forgotten(store: Store) -> None:
    """However often it was set aside; the others stay."""
    dead_letters.add(store, letter(1), letter(2), letter(1))

    dead_letters.drop(store, letter(1))

    assert dead_letters.recent(store) == [letter(2)]
