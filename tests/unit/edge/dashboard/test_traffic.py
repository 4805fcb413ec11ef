"""Nodes and totals."""

from __future__ import annotations

import pytest

from edge.dashboard.traffic import nodes, totals
from precompute.durations import Durations
from precompute.history import History
from precompute.series import Grid, Work
from precompute.snapshot import Snapshot
from precompute.telemetry import FINE, Source, write_commands

NOW_MS = 1_800_000_003_000
GRID = Grid.of(300, NOW_MS)
HERE, THERE = Source("here:1", 0), Source("there:1", 0)


def history(*said: tuple[Source, int, Snapshot]) -> History:
    """What was said in buckets that ended so many buckets before the last one."""
    made = History(FINE)
    made.begin(GRID.first_ms)
    for source, ago, counted in said:
        bucket_ms = GRID.end_ms - (ago + 1) * FINE.ms
        command, *_ = write_commands(source, FINE, bucket_ms, bucket_ms + FINE.ms, counted)
        for _ in made.take([source], [[(str(command[5]).encode(), [command[6], command[7]])]]):
            pass
    return made


def hits(count: int, lag_s: float = 0.0) -> Snapshot:
    """So many, of a node that lags."""
    answers = {("m", "v", "memory"): Durations({1: count})}
    return Snapshot(answers=answers, errors={("m", 404): count}, peaks={"replica_lag_seconds": lag_s})


def test_a_node_is_what_its_latest_buckets_say() -> None:
    """Its rate over some of them, its lag in the last; two of its processes are one node."""
    told = history((HERE, 9, hits(900)), (HERE, 1, hits(10, 7.0)), (HERE, 0, hits(20, 0.5)), (THERE, 0, hits(5)))

    here, there = nodes(told, {HERE: NOW_MS, Source("here:1", 1): NOW_MS, THERE: NOW_MS}, GRID, NOW_MS)

    assert (here.node, here.processes, here.alive, here.lag_s) == ("here:1", 2, True, 0.5)
    assert (here.requests_per_s, here.hit_ratio) == (pytest.approx(6.0), 0.5)
    assert (there.node, there.requests_per_s) == ("there:1", pytest.approx(2.0))


def test_a_node_that_is_gone_has_no_rate() -> None:
    """Nor the one that it had; and once it has left the range it is not listed."""
    told = history((HERE, 9, hits(900)))

    (gone,) = nodes(told, {HERE: NOW_MS - 45_000, THERE: NOW_MS - 400_000}, GRID, NOW_MS)

    assert (gone.node, gone.alive, gone.processes) == ("here:1", False, 0)
    assert (gone.requests_per_s, gone.hit_ratio, gone.lag_s) == (None, None, None)


def test_totals_balance() -> None:
    """Requests are the tiers, the errors and what was shed; what workers did is told for each of them."""
    found = totals(hits(10), Work(rows=30))

    assert found.requests == sum(found.tiers.values()) + found.errors + found.shed == 20
    assert (found.hit_ratio, found.off_path_rows_per_request) == (0.5, 1.5)


def test_nothing_has_no_ratios() -> None:
    """And no latencies."""
    found = totals(Snapshot(), Work())

    assert (found.requests, found.hit_ratio, found.p99_ms) == (0, None, None)
