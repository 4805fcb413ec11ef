"""Snapshots add up, whoever adds them in which order."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edge.snapshot import MAX_BYTES, Durations, Snapshot
from edge.stats import BUCKETS_S

COUNTS = st.integers(0, 2**53)
NAMES = st.sampled_from("abc")
DURATIONS = st.builds(
    Durations,
    st.lists(COUNTS, min_size=len(BUCKETS_S) + 1, max_size=len(BUCKETS_S) + 1).map(tuple),
    COUNTS,
)
SNAPSHOTS = st.builds(
    Snapshot,
    answers=st.dictionaries(st.tuples(NAMES, NAMES), DURATIONS, max_size=4),
    errors=st.dictionaries(st.tuples(NAMES, st.sampled_from([404, 503])), COUNTS, max_size=4),
    computed=st.dictionaries(st.tuples(NAMES, NAMES), COUNTS, max_size=4),
    counters=st.dictionaries(NAMES, COUNTS),
    sums=st.dictionaries(NAMES, st.integers(-1, 2**53)),
    peaks=st.dictionaries(NAMES, st.floats(0)),
)


def requests(snapshot: Snapshot) -> int:
    """All answers."""
    return sum(sum(durations.counts) for durations in snapshot.answers.values())


@given(SNAPSHOTS, SNAPSHOTS)
def test_the_order_does_not_matter(a: Snapshot, b: Snapshot) -> None:
    """Whichever process is asked, it comes to the same."""
    assert a.merge(b) == b.merge(a)


@given(SNAPSHOTS, SNAPSHOTS, SNAPSHOTS)
def test_nor_does_what_has_been_merged_before(a: Snapshot, b: Snapshot, c: Snapshot) -> None:
    """Merging is exact: no sum depends on its brackets."""
    assert a.merge(b).merge(c) == a.merge(b.merge(c))


@given(SNAPSHOTS, SNAPSHOTS)
def test_nothing_is_lost_and_nothing_is_counted_twice(a: Snapshot, b: Snapshot) -> None:
    """Counts of both, and the larger of two peaks."""
    both = a.merge(b)

    assert requests(both) == requests(a) + requests(b)
    for kind in ("errors", "computed", "counters", "sums"):
        assert sum(getattr(both, kind).values()) == sum(getattr(a, kind).values()) + sum(getattr(b, kind).values())
    assert max(both.peaks.values(), default=0) == max([0, *a.peaks.values(), *b.peaks.values()])


@given(SNAPSHOTS)
def test_nothing_changes_nothing(a: Snapshot) -> None:
    """A process that has not counted yet can be merged like any other."""
    assert a.merge(Snapshot()) == a == Snapshot().merge(a)


@given(SNAPSHOTS)
def test_what_is_written_down_can_be_read(a: Snapshot) -> None:
    """All of it."""
    assert Snapshot.decode(a.encode()) == a


@given(SNAPSHOTS)
def test_history_is_what_only_grows(a: Snapshot) -> None:
    """A process that is gone has no lag, and holds no entries."""
    past = a.history()

    assert (past.answers, past.errors) == (a.answers, a.errors)
    assert (past.computed, past.counters) == (a.computed, a.counters)
    assert (past.sums, past.peaks) == ({}, {})


@given(st.binary(max_size=200))
def test_noise_does_no_harm(data: bytes) -> None:
    """Whatever it is, it is no snapshot, or a sound one."""
    found = Snapshot.decode(data)

    assert found is None or found.merge(Snapshot()) == found


def test_other_versions_and_sizes_are_not_read() -> None:
    """Neither another format, nor buckets that are not ours, nor more than anybody would write."""
    good = Snapshot(answers={("m", "memory"): Durations()})
    short = Snapshot(answers={("m", "memory"): Durations((1, 2, 3))})

    assert Snapshot.decode(msgspec.msgpack.encode((2, good))) is None
    assert Snapshot.decode(short.encode()) is None
    assert Snapshot.decode(bytes(MAX_BYTES + 1)) is None
