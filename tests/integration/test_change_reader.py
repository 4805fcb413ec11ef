"""Several readers share the update logs, and none of them is needed."""

from __future__ import annotations

import pytest

from precompute.keys import log_key, refresher_key
from precompute.store import Store
from tests.waiting import wait_until
from workers.change_reader import GROUP, ChangeReader, Delivery

pytestmark = pytest.mark.integration

VIEWS = ["weather", "flight"]


def reader(store: Store, name: str) -> ChangeReader:
    """One that has joined."""
    joined = ChangeReader(store, VIEWS, name)
    joined.join()
    return joined


def change(store: Store, *entities: str, view: str = "weather") -> None:
    """These change."""
    for entity in entities:
        store.call("XADD", log_key(view), "*", "e", entity)


def changes(deliveries: list[Delivery]) -> list[tuple[str, str]]:
    """What these deliveries say."""
    return [change for delivery in deliveries for change in delivery.changes]


def owed(store: Store, view: str = "weather") -> int:
    """Records that were given to somebody and not acknowledged."""
    return int(store.call("XPENDING", log_key(view), GROUP)[0])


def claimed(by: ChangeReader) -> list[Delivery]:
    """What it gets once the other's records have been due for a while."""
    return wait_until(lambda: by.claim(1))


def test_each_record_goes_to_one_reader(store: Store) -> None:
    """Of all logs; acknowledged, it is nobody's any more."""
    one, other = reader(store, "one"), reader(store, "other")
    change(store, "EWR", "JFK")
    change(store, "UA1", view="flight")

    first = one.read(None, 1)
    change(store, "LGA")
    second = other.read(None, 1)
    one.acknowledge(first)
    other.acknowledge(second)

    assert changes(first) == [("weather", "EWR"), ("weather", "JFK"), ("flight", "UA1")]
    assert changes(second) == [("weather", "LGA")]
    assert owed(store) == owed(store, "flight") == 0


def test_what_changed_before_anyone_ever_read_is_not_read(store: Store) -> None:
    """The scheduler finds what is missing; the edges judge what is fresh."""
    change(store, "EWR")

    assert reader(store, "one").read(None, 1) == []


def test_what_changes_while_nobody_reads_is_read_later(store: Store) -> None:
    """The group knows how far it was."""
    reader(store, "one")
    change(store, "EWR")

    assert changes(reader(store, "other").read(None, 1)) == [("weather", "EWR")]


def test_what_a_dead_reader_owes_is_claimed_once(store: Store) -> None:
    """By one of the others, with what it was about."""
    dead, one, other = (reader(store, name) for name in ("dead", "one", "other"))
    change(store, "EWR", "JFK")
    dead.read(None, 1)
    dead.leave()

    found = claimed(one)

    assert changes(found) == [("weather", "EWR"), ("weather", "JFK")]
    assert other.claim(1) == []
    one.acknowledge(found)
    assert owed(store) == 0


def test_nothing_is_claimed_from_the_living(store: Store) -> None:
    """However long they take."""
    slow, other = reader(store, "slow"), reader(store, "other")
    change(store, "EWR")
    slow.read(None, 1)
    (record,) = store.call("XPENDING", log_key("weather"), GROUP, "-", "+", 1)
    store.call("XCLAIM", log_key("weather"), GROUP, "slow", 0, record[0], "IDLE", 3_600_000)

    assert other.claim(1) == []


def test_death_is_noticed_by_silence(store: Store) -> None:
    """Whoever is alive says so, with an expiry."""
    reader(store, "one")

    assert 0 < store.call("PTTL", refresher_key("one")) <= 3000


def test_a_trimmed_record_is_not_owed_for_ever(store: Store) -> None:
    """Nobody can say any more what it was about."""
    dead, one = reader(store, "dead"), reader(store, "one")
    change(store, "EWR", "JFK")
    dead.read(None, 1)
    dead.leave()
    store.call("XTRIM", log_key("weather"), "MAXLEN", 1)

    found: list[Delivery] = []

    def nothing_is_owed() -> bool:
        found.extend(one.claim(1))
        one.acknowledge(found)
        return owed(store) == 0

    wait_until(nothing_is_owed)
    assert changes(found) == [("weather", "JFK")]


def test_a_destroyed_group_is_made_again_where_it_was(store: Store) -> None:
    """Nothing that came in between is lost."""
    one = reader(store, "one")
    change(store, "EWR")
    one.acknowledge(one.read(None, 1))
    store.call("XGROUP", "DESTROY", log_key("weather"), GROUP)
    change(store, "JFK")

    found = wait_until(lambda: one.read(None, 1))

    assert changes(found) == [("weather", "JFK")]


def test_a_log_that_began_anew_is_read_from_its_beginning(store: Store) -> None:
    """After a failover ids may be lower than what was read."""
    one = reader(store, "one")
    store.call("XADD", log_key("weather"), "99999999999999-1", "e", "EWR")
    one.read(None, 1)
    store.call("DEL", log_key("weather"))
    store.call("XADD", log_key("weather"), "5-1", "e", "JFK")

    found = wait_until(lambda: one.read(None, 1))

    assert changes(found) == [("weather", "JFK")]


def test_claiming_from_a_log_that_is_gone_is_no_failure(store: Store) -> None:
    """The next read joins it again."""
    one = reader(store, "one")
    store.call("DEL", log_key("weather"))

    assert one.claim(1) == []


@pytest.mark.parametrize("fields", [("strange", "thing"), ("e", b"\xff\xfe"), ("x", "y", "z", b"\x00")])
def test_a_record_that_names_no_entity_is_handed_over_as_it_is(store: Store, fields: tuple[str | bytes, ...]) -> None:
    """It stops nobody, and is acknowledged like any other."""
    one = reader(store, "one")
    record = store.call("XADD", log_key("weather"), "*", *fields)
    change(store, "JFK")

    (delivery,) = one.read(None, 7)
    one.acknowledge([delivery])

    (letter,) = delivery.unreadable
    assert delivery.changes == [("weather", "JFK")]
    assert (letter.source, letter.record, letter.at_ms) == (log_key("weather"), record.decode(), 7)
    assert letter.content == tuple(f.encode() if isinstance(f, str) else f for f in fields)
    assert owed(store) == 0
