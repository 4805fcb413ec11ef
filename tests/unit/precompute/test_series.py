"""Series of what was counted: sums stay sums, and a gap is a gap."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from precompute.durations import Durations
from precompute.history import History
from precompute.series import NO_WORK, TIERS, Grid, Series, Step, Tally, Work, point
from precompute.snapshot import Snapshot
from precompute.snapshot_sum import summed
from precompute.telemetry import COARSE, FINE, Source, Width, write_commands

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

    steps = [history.step(begin_ms, grid.step_ms) for begin_ms in grid.times_ms]

    assert sum(step.requests for step in steps) == sum(requests(counted) for *_, counted in said)
    assert [i for i, step in enumerate(steps) if any(v is not None for v in step.values)] == sorted(
        {bucket for _, bucket, _ in said}
    )


@given(SNAPSHOTS)
def test_a_tally_balances(counted: Snapshot) -> None:
    """Each key is in one tier, or an error, or shed."""
    tally = Tally.of(counted)

    assert tally.requests == requests(counted)
    assert tally.all_took.count == sum(tally.tiers.values())


@given(st.lists(SNAPSHOTS, max_size=5), st.integers(0, 5))
def test_summing_is_merging(parts: list[Snapshot], cut: int) -> None:
    """In any order, and whatever was summed before."""
    total = Snapshot()
    for part in parts:
        total = total.merge(part)

    assert summed(parts) == summed([summed(parts[:cut]), summed(parts[cut:])]) == summed(parts[::-1]) == total


def grown(*parts: Snapshot | None, work: Work = NO_WORK, width: Width = FINE, covered: int = 1) -> Series:
    """The series of some steps, each with so many buckets of the same; None for a gap."""
    series = Series()
    for part in parts:
        series.add(Step.of(point([] if part is None else [part] * covered, width)), work)
    return series


def test_a_gap_is_one_in_all_series() -> None:
    """And an idle step is not one: it has rates of zero, and nothing that would need a request."""
    found = grown(Snapshot(), None)

    assert found.requests_per_s == {tier: [0.0, None] for tier in TIERS}
    assert (found.errors_per_s, found.hit_ratio, found.p99_ms) == ([0.0, None], [None, None], [None, None])
    assert found.latency_ms["memory"].p999 == [None, None]


def test_a_rate_is_that_of_the_time_that_is_known() -> None:
    """A step of which half is missing has the rate of the other half, not half of it."""
    counted = Snapshot(answers={("m", "v", "memory"): Durations({1: 50})})

    assert grown(counted, covered=1).requests_per_s["memory"] == [10.0]
    assert grown(counted, covered=2).requests_per_s["memory"] == [10.0]


def test_refused_requests_are_errors_of_their_own() -> None:
    """Errors and shed are told apart, and together they are all that were not answered."""
    counted = Snapshot(errors={("m", 503): 5, ("m", 422): 1}, of_which={("m", "shed"): 4})

    tally = Tally.of(counted)

    assert (tally.errors, tally.shed, tally.requests) == (2, 4, 6)


def test_what_fresh_hits_cost_is_told_beside_them() -> None:
    """Rows that nobody waited for: those that edges made anew, and those of the workers."""
    counted = Snapshot(answers={("m", "v", "memory"): Durations({1: 10})}, counters={"revalidations": 5})

    found = grown(counted, work=Work(rows=10))

    assert (found.fresh_hit_ratio, found.off_path_rows_per_request) == ([1.0], [1.5])


def test_unknown_lag_is_no_number() -> None:
    """Infinity is what an edge says that has never heard of its replica."""
    assert grown(Snapshot(peaks={"replica_lag_seconds": float("inf")})).replica_lag_s == [None]


def test_all_series_are_equally_long() -> None:
    """Whatever they are made from."""
    found = msgspec.to_builtins(grown(Snapshot(), None, Snapshot()))

    def lengths(value: object) -> set[int]:
        if isinstance(value, dict):
            return set().union(*map(lengths, value.values()))
        assert isinstance(value, list)
        return {len(value)}

    assert lengths(found) == {3}


def test_a_step_with_news_is_told_anew() -> None:
    """A bucket that comes late, from one of many, is not left out because the step was told before."""
    grid = Grid.of(3600, NOW_MS)
    history = History(FINE)
    history.begin(grid.first_ms)
    read(history, [(A, 4, Snapshot(errors={("m", 404): 1}))], grid)
    before = history.step(grid.first_ms + 20_000, grid.step_ms)

    read(history, [(B, 5, Snapshot(errors={("m", 404): 2}))], grid)

    after = history.step(grid.first_ms + 20_000, grid.step_ms)
    assert (before.requests, after.requests) == (1, 3)
    assert after is history.step(grid.first_ms + 20_000, grid.step_ms)


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
