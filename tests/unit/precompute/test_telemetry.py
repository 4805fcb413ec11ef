"""What edges write of what they have counted, and what is read of it."""

from __future__ import annotations

from precompute.durations import Durations
from precompute.snapshot import Snapshot
from precompute.telemetry import COARSE, FINE, MAX_BYTES, Source, entries, sources, write_commands

SOURCE = Source("host with space:8300", 1)
COUNTED = Snapshot(answers={("m", "v", "memory"): Durations({7: 3}, 60_000)}, errors={("m", 404): 2})


def test_what_is_written_can_be_read() -> None:
    """Under when its bucket began, and how long after that it was written."""
    (name, key, *_, entry_id, field, data), *_ = write_commands(SOURCE, FINE, 10_000, 15_003, COUNTED)

    found = list(entries([(str(entry_id).encode(), [field, data])]))

    assert (name, key, entry_id) == ("XADD", "stats:5s:host with space:8300:1", "10000-5003")
    assert [(i, e.bucket_ms, e.counted) for i, e in found if e] == [("10000-5003", 10_000, COUNTED)]


def test_what_cannot_be_understood_is_told_apart() -> None:
    """Of another version, or no entry at all: it is stepped over, not a gap in reading."""
    found = list(entries([(b"5000-1", [b"s", b"noise"]), (b"10000-1", [b"other", b"x"])]))

    assert found == [("5000-1", None), ("10000-1", None)]


def test_streams_are_bounded() -> None:
    """In length, in time, and in the size of what is written."""
    commands = write_commands(SOURCE, COARSE, 60_000, 120_000, COUNTED)
    vast = Snapshot(counters={f"{n:0100}": n for n in range(MAX_BYTES // 100)})

    assert commands[0][2:5] == ("MAXLEN", "~", 1440)
    assert commands[1] == ("EXPIRE", COARSE_KEY, 86_400)
    assert write_commands(SOURCE, COARSE, 60_000, 120_000, vast) == []


COARSE_KEY = "stats:1m:host with space:8300:1"


def test_sources_are_known_by_what_they_say() -> None:
    """Whatever a node is called."""
    _, _, said, _ = write_commands(SOURCE, FINE, 10_000, 15_003, COUNTED)

    found = sources([str(said[3]).encode(), str(said[2]).encode()])

    assert found == {SOURCE: 15_003}


def test_buckets_are_those_of_the_clock() -> None:
    """So that those of all processes are the same."""
    assert (FINE.begin_ms(10_000), FINE.begin_ms(14_999), COARSE.begin_ms(119_999)) == (10_000, 10_000, 60_000)
