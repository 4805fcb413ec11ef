"""Snapshots add up, whoever adds them in which order."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from precompute.durations import BOUNDS_S, Durations
from precompute.snapshot import MAX_BYTES, Snapshot

COUNTS = st.integers(0, 2**53)
NAMES = st.sampled_from("abc")
DURATIONS = st.builds(
    Durations,
    st.dictionaries(st.integers(0, len(BOUNDS_S)), st.integers(1, 2**53), min_size=1, max_size=5),
    COUNTS,
)
SNAPSHOTS = st.builds(
    Snapshot,
    answers=st.dictionaries(st.tuples(NAMES, NAMES, NAMES), DURATIONS, max_size=4),
    errors=st.dictionaries(st.tuples(NAMES, st.sampled_from([404, 503])), COUNTS, max_size=4),
    computed=st.dictionaries(st.tuples(NAMES, NAMES), COUNTS, max_size=4),
    of_which=st.dictionaries(st.tuples(NAMES, NAMES), COUNTS, max_size=4),
    routed=st.dictionaries(st.tuples(NAMES, NAMES, NAMES), COUNTS, max_size=4),
    views=st.dictionaries(st.tuples(NAMES, NAMES), COUNTS, max_size=4),
    timings=st.dictionaries(NAMES, DURATIONS, max_size=2),
    counters=st.dictionaries(NAMES, COUNTS),
    open_breakers=st.dictionaries(st.tuples(NAMES, NAMES), COUNTS, max_size=4),
    sums=st.dictionaries(NAMES, st.integers(-1, 2**53)),
    peaks=st.dictionaries(NAMES, st.floats(0)),
)


def requests(snapshot: Snapshot) -> int:
    """All answers."""
    return sum(durations.count for durations in snapshot.answers.values())


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
    for kind in ("errors", "of_which", "computed", "routed", "counters", "open_breakers", "sums"):
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
    assert (past.computed, past.routed, past.counters) == (a.computed, a.routed, a.counters)
    assert (past.open_breakers, past.sums, past.peaks) == ({}, {}, {})


@given(st.binary(max_size=200))
def test_noise_does_no_harm(data: bytes) -> None:
    """Whatever it is, it is no snapshot, or a sound one."""
    found = Snapshot.decode(data)

    assert found is None or found.merge(Snapshot()) == found


def test_other_versions_and_sizes_are_not_read() -> None:
    """Neither another format, nor buckets that are not ours, nor more than anybody would write."""
    good = Snapshot(answers={("m", "v", "memory"): Durations({0: 1})})
    beyond = Snapshot(answers={("m", "v", "memory"): Durations({len(BOUNDS_S) + 1: 1})})

    assert Snapshot.decode(msgspec.msgpack.encode((2, good))) is None
    assert Snapshot.decode(beyond.encode()) is None
    assert Snapshot.decode(bytes(MAX_BYTES + 1)) is None


@given(SNAPSHOTS, SNAPSHOTS)
def test_what_has_come_since_makes_up_the_difference(before: Snapshot, later: Snapshot) -> None:
    """A process that says every few seconds what is new has said everything; zeros need not be said."""
    now = before.merge(later)

    since = now.since(before)

    told = before.history().merge(since.history())
    assert told.answers == now.answers
    for kind in ("errors", "of_which", "counters"):
        assert {k: n for k, n in getattr(told, kind).items() if n} == {k: n for k, n in getattr(now, kind).items() if n}
    assert (since.sums, since.peaks) == ({}, now.peaks)


def test_variants_are_told_together_by_tier() -> None:
    """Where nobody asks for them."""
    answers = {("m", "a", "live"): Durations({1: 2}), ("m", "b", "live"): Durations({1: 1, 3: 1})}

    assert Snapshot(answers=answers).by_tier() == {("m", "live"): Durations({1: 3, 3: 1})}
