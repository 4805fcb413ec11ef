"""Series of what was counted: sums stay sums, and a gap is a gap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from precompute.durations import Durations
from precompute.history import History
from precompute.series import NO_WORK, TIERS, Grid, Series, Tally, Work, merged, points
from precompute.snapshot import Snapshot
from precompute.telemetry import COARSE, FINE, Source, write_commands

NOW_MS = 1_800_000_003_000
A, B = Source("a", 0), Source("b", 0)

COUNTS = st.integers(0, 1000)
SNAPSHOTS = st.builds(
    Snapshot,
    answers=st.dictionaries(
        st.tuples(st.sampled_from("mn"), st.sampled_from("vw"), st.sampled_from(TIERS)),
        st.dictionaries(st.integers(0, 260), st.integers(1, 1000), min_size=1, max_size=3).map(Durations),
        max_size=4,
    ),
    errors=st.dictionaries(st.tuples(st.sampled_from("mn"), st.sampled_from([404, 422])), COUNTS, max_size=2),
)
#: What three processes of two nodes say: when, in buckets; the latest of one may come before the earliest of another.
SAID = st.lists(st.tuples(st.sampled_from([A, B, Source("b", 1)]), st.integers(0, 11), SNAPSHOTS), max_size=12)


def requests(counted: Snapshot) -> int:
    """All of them."""
    return sum(took.count for took in counted.answers.values()) + sum(counted.errors.values())


def read(history: History, said: list[tuple[Source, int, Snapshot]], grid: Grid) -> None:
    """All that was said is read, as Redis would tell it."""
    for at, (source, bucket, counted) in enumerate(said):
        bucket_ms = grid.first_ms + bucket * 5000
        command, *_ = write_commands(source, FINE, bucket_ms, bucket_ms + at, counted)
        records = [(str(command[5]).encode(), [command[6], command[7]])]
        for _ in history.take([source], [records]):
            pass


@given(SAID)
def test_no_request_is_lost_or_told_twice(said: list[tuple[Source, int, Snapshot]]) -> None:
    """Whoever said what when: the series add up to what was counted, and steps without a word are gaps."""
    grid = Grid.of(60, NOW_MS)
    history = History(FINE)
    history.begin(grid.first_ms)
    read(history, said, grid)

    steps = list(points(history.buckets, grid))

    assert sum(requests(step.counted) for step in steps if step) == sum(requests(counted) for *_, counted in said)
    assert [i for i, step in enumerate(steps) if step] == sorted({bucket for _, bucket, _ in said})


@given(SNAPSHOTS)
def test_a_tally_balances(counted: Snapshot) -> None:
    """Each key is in one tier, or an error, or shed."""
    tally = Tally.of(counted)

    assert tally.requests == requests(counted)
    assert tally.all_took.count == sum(tally.tiers.values())


@given(st.lists(SNAPSHOTS, max_size=5), st.integers(0, 5))
def test_merging_needs_no_order(parts: list[Snapshot], cut: int) -> None:
    """Whatever was merged before."""
    assert merged([merged(parts[:cut]), merged(parts[cut:])]) == merged(parts[::-1])


def test_a_gap_is_one_in_all_series() -> None:
    """And an idle step is not one: it has rates of zero, and nothing that would need a request."""
    grown = Series()
    for point in points({0: Snapshot()}, Grid(FINE, 0, 5000, 2)):
        grown.add(point, NO_WORK)

    assert grown.requests_per_s == {tier: [0.0, None] for tier in TIERS}
    assert (grown.errors_per_s, grown.hit_ratio, grown.p99_ms) == ([0.0, None], [None, None], [None, None])
    assert grown.latency_ms["memory"].p999 == [None, None]


def test_a_step_of_which_a_part_is_missing_has_the_rate_of_the_rest() -> None:
    """Half the step unknown does not halve the rate."""
    counted = Snapshot(answers={("m", "v", "memory"): Durations({1: 50})})
    grown = Series()

    for point in points({0: counted}, Grid(FINE, 0, 10_000, 1)):
        grown.add(point, NO_WORK)

    assert grown.requests_per_s["memory"] == [10.0]


def test_refused_requests_are_errors_of_their_own() -> None:
    """Errors and shed are told apart, and together they are all that were not answered."""
    counted = Snapshot(errors={("m", 503): 5, ("m", 422): 1}, of_which={("m", "shed"): 4})

    tally = Tally.of(counted)

    assert (tally.errors, tally.shed, tally.requests) == (2, 4, 6)


def test_what_fresh_hits_cost_is_told_beside_them() -> None:
    """Rows that nobody waited for: those that edges made anew, and those of the workers."""
    counted = Snapshot(answers={("m", "v", "memory"): Durations({1: 10})}, counters={"revalidations": 5})
    grown = Series()

    for point in points({0: counted}, Grid(FINE, 0, 5_000, 1)):
        grown.add(point, Work(rows=10))

    assert (grown.fresh_hit_ratio, grown.off_path_rows_per_request) == ([1.0], [1.5])


def test_unknown_lag_is_no_number() -> None:
    """Infinity is what an edge says that has never heard of its replica."""
    grown = Series()

    for point in points({0: Snapshot(peaks={"replica_lag_seconds": float("inf")})}, Grid(FINE, 0, 5_000, 1)):
        grown.add(point, NO_WORK)

    assert grown.replica_lag_s == [None]


@pytest.mark.parametrize(
    ("range_s", "step_s", "count"), [(60, 5, 12), (300, 5, 60), (3600, 10, 360), (21_600, 60, 360), (86_400, 300, 288)]
)
def test_steps_are_as_fine_as_a_screen_can_show(range_s: int, step_s: int, count: int) -> None:
    """And the last one has ended."""
    grid = Grid.of(range_s, NOW_MS)

    assert (grid.step_ms // 1000, grid.count, len(grid.times_ms)) == (step_s, count, count)
    assert grid.width is (FINE if range_s <= 3600 else COARSE)
    assert NOW_MS - grid.step_ms - 1000 < grid.end_ms <= NOW_MS - 1000


def test_a_longer_range_is_read_from_its_beginning() -> None:
    """What was read for a shorter one does not stand in its way, and is not counted twice."""
    grid = Grid.of(60, NOW_MS)
    history = History(FINE)
    history.begin(grid.first_ms)
    read(history, [(A, 3, Snapshot(counters={"c": 1}))], grid)

    history.begin(grid.first_ms - 60_000)
    read(history, [(A, 3, Snapshot(counters={"c": 1}))], grid)

    assert history.commands([A, B])[1][2] == f"({grid.first_ms - 60_000}-0"
    assert [counted.counters for counted in history.buckets.values()] == [{"c": 1}]


def test_a_history_reads_on_and_forgets() -> None:
    """News come after what was read last, and what has left the range is let go of."""
    grid = Grid.of(60, NOW_MS)
    history = History(FINE)
    history.begin(grid.first_ms)
    read(history, [(A, bucket, Snapshot(counters={"c": 1})) for bucket in range(6)], grid)

    history.begin(grid.first_ms + 25_000)

    assert history.commands([A])[0][2] == f"({grid.first_ms + 25_000}-5"
    assert list(history.buckets) == [grid.first_ms + 25_000]
    assert len(history.latest("a")) == 4
