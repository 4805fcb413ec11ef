"""When a record may be acknowledged."""

from __future__ import annotations

from workers.change_reader import Delivery
from workers.receipts import MOST_RECORDS, Receipts


def delivery(*records: bytes) -> Delivery:
    """Records of one log."""
    return Delivery("weather", list(records))


def test_a_record_is_done_when_nothing_waits_for_it_or_for_an_older_one() -> None:
    """Late rather than early."""
    receipts = Receipts()
    given = [delivery(b"1-0"), delivery(b"2-0"), delivery(b"3-0")]
    numbers = [receipts.add(one) for one in given]

    assert receipts.done(numbers[0]) == []
    assert receipts.done(numbers[2]) == given[:2]
    assert receipts.done(None) == given


def test_what_was_acknowledged_is_let_go() -> None:
    """Memory holds what is owed, and no more."""
    receipts = Receipts()
    receipts.add(delivery(b"1-0", b"1-1"))
    last = receipts.add(delivery(b"2-0"))

    receipts.close(receipts.done(last))

    assert receipts.records == 1
    assert receipts.done(None) == [delivery(b"2-0")]


def test_with_too_much_in_hand_nothing_more_is_read() -> None:
    """The log keeps what comes."""
    receipts = Receipts()
    receipts.add(delivery(*[b"1-0"] * MOST_RECORDS))
    was_full = receipts.is_full

    receipts.close(receipts.done(None))

    assert was_full
    assert not receipts.is_full
