"""Stream ids as integers, and where a log begins and ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from precompute.errors import StoreUnavailable
from precompute.store import CommandFailed
from precompute.updates import (
    AsOf,
    LogState,
    as_of_commands,
    as_of_id,
    change_id,
    milliseconds,
    parse_as_of,
    parse_epoch,
    read_command,
    stream_id,
    timestamp,
)

MS = st.integers(0, 2**42)
#: Small as always, or around the end of what an integer id holds, or as large as Redis allows.
SEQUENCES = st.one_of(st.integers(0, 3), st.integers(2**20 - 2, 2**20 + 2), st.integers(0, 2**64 - 1))
IDS = st.tuples(MS, SEQUENCES)
INFO = b"# Replication\r\nrole:master\r\nmaster_replid:deadbeef00112233445566778899aabbccddeeff\r\n"


def _text(stream: tuple[int, int]) -> str:
    return f"{stream[0]}-{stream[1]}"


@given(IDS, IDS)
def test_a_later_change_is_never_older_than_an_as_of(known: tuple[int, int], changed: tuple[int, int]) -> None:
    """If a record came after what a reader knew, its id is greater; if it came before, at worst it looks later."""
    if changed > known:
        assert change_id(_text(changed)) > as_of_id(_text(known))


@given(IDS, IDS)
def test_ids_keep_the_order_of_the_stream(one: tuple[int, int], other: tuple[int, int]) -> None:
    """Neither rounding ever turns the order around."""
    for rounded in (as_of_id, change_id):
        assert one > other or rounded(_text(one)) <= rounded(_text(other))


@given(MS, st.integers(0, 2**20 - 1))
def test_an_ordinary_id_is_exact(ms: int, sequence: int) -> None:
    """Below a million changes in a millisecond, both roundings agree and give the id back."""
    text = f"{ms}-{sequence}"

    assert as_of_id(text) == change_id(text) == as_of_id(text.encode())
    assert stream_id(as_of_id(text)) == text
    assert milliseconds(as_of_id(text)) == ms


def test_an_id_without_a_sequence_is_its_first() -> None:
    """Redis accepts a bare number of milliseconds."""
    assert as_of_id("5") == as_of_id("5-0")


def test_time_is_written_for_people() -> None:
    """RFC 3339 with milliseconds."""
    assert timestamp(0) == "1970-01-01T00:00:00.000Z"
    assert timestamp(1_380_585_600_123) == "2013-10-01T00:00:00.123Z"


def _stream(first: str | None, last: str, length: int) -> list[object]:
    entry = [first.encode(), [b"e", b"JFK"]] if first else None
    fields = {b"length": length, b"last-generated-id": last.encode(), b"groups": 0, b"first-entry": entry}
    return [piece for pair in fields.items() for piece in pair]


def test_what_a_reader_knows_is_read_from_the_replies() -> None:
    """The epoch, and the last id of each log; a log that nobody has written yet is at 0."""
    replies = [INFO, _stream("5-0", "7-1", 3), CommandFailed("ERR no such key")]

    as_of = parse_as_of(replies)

    assert len(as_of_commands(["weather", "flight"])) == len(replies)
    assert as_of == AsOf(0xDEADBEEF, (as_of_id("7-1"), 0))


@pytest.mark.parametrize("info", [b"role:master\r\n", CommandFailed("ERR x"), None, [], b"master_replid:xyz\r\n"])
def test_an_unreadable_epoch_is_no_epoch(info: object) -> None:
    """Without a replication id nothing can be said, which may pass."""
    with pytest.raises(StoreUnavailable, match="replication id"):
        parse_epoch(info)


def test_an_unreadable_log_is_not_an_empty_one() -> None:
    """Any error but "no such key" is reported: an empty log would make everything look fresh."""
    with pytest.raises(StoreUnavailable, match="cannot read the update log: WRONGTYPE"):
        LogState.parse(CommandFailed("WRONGTYPE Operation against a key"))


def test_the_floor_is_the_first_record_kept() -> None:
    """Whoever knew the first record has missed nothing; a log without records is known to its end."""
    kept, emptied = LogState.parse(_stream("5-0", "9-0", 2)), LogState.parse(_stream(None, "9-0", 0))

    assert (kept.first, kept.last, kept.length, kept.floor) == (as_of_id("5-0"), as_of_id("9-0"), 2, as_of_id("5-0"))
    assert (emptied.first, emptied.last, emptied.floor) == (0, as_of_id("9-0"), as_of_id("9-0"))
    assert LogState.parse(CommandFailed("ERR no such key")) == LogState(0, 0, 0, 0, 0)


@given(IDS, IDS)
def test_who_missed_a_trimmed_record_is_below_the_floor(known: tuple[int, int], first: tuple[int, int]) -> None:
    """A reader who knew less than the first record kept is below the floor, however ids are rounded."""
    state = LogState.parse(_stream(_text(first), _text(max(known, first)), 1))

    if known < first:
        assert as_of_id(_text(known)) < state.floor


def test_reading_on_asks_for_what_follows_each_position() -> None:
    """Views and positions stand in the same order; waiting is bounded or not done."""
    positions = {"weather": "5-0", "flight": "0-0"}

    assert read_command(positions, 100, None) == (
        "XREAD", "COUNT", 100, "STREAMS", "u:{weather}", "u:{flight}", "5-0", "0-0",
    )  # fmt: skip
    assert read_command(positions, 100, 50)[3:5] == ("BLOCK", 50)


def _state(first: int, last: int, length: int = 1, added: int | None = None) -> LogState:
    return LogState(first, last, length, first or last, length if added is None else added)


@pytest.mark.parametrize(
    ("position", "log", "lost"),
    [
        (0, _state(0, 0, 0), False),
        (0, _state(5, 9, 2), False),
        (0, _state(5, 9, 2, added=3), True),
        (0, _state(0, 9, 0), True),
        (9, _state(5, 9), False),
        (7, _state(5, 9), False),
        (5, _state(5, 9), False),
        (4, _state(5, 9), True),
        (4, _state(0, 9, 0), True),
        (9, _state(0, 9, 0), False),
        (9, _state(5, 8), False),
    ],
)
def test_a_gap_is_told_from_a_log_that_was_only_trimmed(position: int, log: LogState, lost: bool) -> None:
    """What was trimmed or deleted after we had read it is no loss; what came and went before we did is."""
    assert log.has_lost(position) is lost


@pytest.mark.parametrize(
    ("position", "log", "ends_before"),
    [
        (0, _state(0, 0, 0), False),
        (9, _state(5, 9), False),
        (9, _state(5, 8), True),
        (9, _state(0, 0, 0), True),
        (change_id("7-2000000"), _state(5, as_of_id("7-2000000")), False),
        (change_id("8-1"), _state(5, as_of_id("7-2000000")), True),
    ],
)
def test_a_log_that_ends_before_us_is_told_from_one_whose_end_is_rounded(
    position: int, log: LogState, ends_before: bool
) -> None:
    """The same id is one more as a change than as an end once its sequence has outgrown 20 bits."""
    assert log.ends_before(position) is ends_before
