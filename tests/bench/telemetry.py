"""What telemetry costs hits in memory: an edge as it is, against one that neither counts hits nor writes anything."""

from __future__ import annotations

import statistics
from pathlib import Path

from tests.bench.cores import Missing, Running
from tests.bench.figures import Figures, Row
from tests.bench.world import World, targets
from tests.bench.wrk import Capacity, capacity

CONNECTIONS = 32
WORK = "memory hits with telemetry"
ANCHOR = "without"
AT_LEAST = 0.97
#: As often as other figures, times this: the difference is smaller than what runs differ by.
_TIMES = 2
#: New processes so often: of two alike, one may be faster by some percent, by where its memory happens to lie.
_STARTS = 3
_UNCOUNTED = ("-m", "tests.bench.uncounted")


def hits(world: World, figures: Figures, *, seconds: float, runs: int) -> None:
    """In turns, so that whatever else runs here disturbs both, and neither is always the first."""
    try:
        pairs = [pair for _ in range(_STARTS) for pair in _pairs(world, seconds, runs * _TIMES)]
    except Missing as reason:
        figures.add(Row(work=WORK, figure=None, unit="requests/s", anchor=ANCHOR, at_least=AT_LEAST, note=str(reason)))
        return
    rates, costs = ([[getattr(it, name) for it in pair] for pair in pairs] for name in ("per_s", "cpu_us"))
    figures.add(
        Row(
            work=WORK,
            figure=statistics.median(with_ for with_, _ in rates),
            unit="requests/s",
            anchor=ANCHOR,
            ratio=statistics.median(with_ / without for with_, without in rates),
            at_least=AT_LEAST,
        )
    )
    figures.add(
        Row(
            work=f"{WORK}: cost",
            figure=statistics.median(with_ for with_, _ in costs),
            unit="µs",
            anchor=ANCHOR,
            ratio=statistics.median(with_ / without for with_, without in costs),
            at_most=round(1 / AT_LEAST, 3),
            note="of processor for each; what counts where others use the machine",
        )
    )


def _pairs(world: World, seconds: float, count: int) -> list[tuple[Capacity, Capacity]]:
    with world.edge() as counted, world.edge(program=_UNCOUNTED) as uncounted:
        found = [_pair(world, counted.running, uncounted.running, seconds, at) for at in range(count)]
        # Those that took over a millisecond are counted elsewhere.
        assert counted.metric(_HITS) > 100 * uncounted.metric(_HITS)
        return found


_HITS = 'nearcast_requests_total{model="score",result="hit",tier="memory"}'


def _pair(world: World, counted: Running, uncounted: Running, seconds: float, at: int) -> tuple[Capacity, Capacity]:
    if at % 2:
        other = _run(world, uncounted, seconds)
        return _run(world, counted, seconds), other
    return _run(world, counted, seconds), _run(world, uncounted, seconds)


def _run(world: World, server: Running, seconds: float) -> Capacity:
    return capacity(world.directory, server, targets(world.hot), connections=CONNECTIONS, seconds=seconds, runs=1)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as directory, World.make(Path(directory), hot=10_000, shelf=0, cold=0) as made:
        hits(made, Figures(), seconds=2.0, runs=3)
