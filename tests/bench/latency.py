"""Latency at a constant arrival rate, counted from when a request was due."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from deploy.bench.generator import Generator
from deploy.bench.latencies import Outcome
from deploy.local.ports import LOOPBACK
from tests.bench.anchors import nginx_return
from tests.bench.between import Between
from tests.bench.compiled_generator import CompiledGenerator
from tests.bench.cores import LOAD_CORE, Missing, Running, undisturbed
from tests.bench.figures import Figures, Row
from tests.bench.world import EdgeUnderTest, World, requests, targets
from tests.bench.wrk import command, one_second

CONNECTIONS, _WRK_CONNECTIONS = 64, 32
#: Of its capacity, how much an edge is asked for; and what a memory hit may take then.
_SHARE = 0.6
_P99_MS, _P999_MS = 1.0, 5.0
#: How long they are asked at a time, so that what else the machine does falls into few of the runs.
_WINDOW_S = 0.5
#: And how many runs there are at most, for each that counts.
_TRIES = 4


@contextmanager
def on_load_core() -> Iterator[None]:
    """This process generates the load meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def memory_hits(world: World, figures: Figures, *, capacity_per_s: float, seconds: float, runs: int) -> None:
    """Hits at 60 % of what the edge can do, between runs of nginx at the same rate, which tell what the machine adds.

    Near its limit a server takes long to catch up after it was kept from its core, by other systems on the machine
    too. So there are more and shorter runs than elsewhere, and those count that lie between the calmest of nginx, which
    has more to spare.
    """
    with ExitStack() as servers:
        hits = Hits(world, servers.enter_context(world.edge()).running, capacity_per_s)
        nginx = servers.enter_context(control(world, lambda: hits.rate_per_s, _WINDOW_S))
        servers.enter_context(on_load_core())
        hits.generator.closed_loop(2.0)
        between = Between(hits.run, nginx)
        wanted = round(runs * seconds / _WINDOW_S)
        found = between.found(wanted, at_most=_TRIES * wanted)
    work = "{}, open loop at 60 %".format
    limits = [(0.99, "p99", _P99_MS), (0.999, "p99.9", _P999_MS)]
    rows(figures, work("memory hit"), found, between.note(), limits)
    if between.controls:
        limitless = [(share, name, None) for share, name, _ in limits]
        rows(figures, work("nginx return 200"), between.counted_controls(), "beside those runs", limitless)


class Hits:
    """Hits in memory, each run at 60 % of what the edge could do in the second before.

    What a core does in a second changes by half when others use the machine, for seconds at a time; a rate that was
    60 % of the capacity before may be all of it now.

    Attributes:
        rate_per_s: of the last run; before it, by the capacity that was given.
    """

    def __init__(self, world: World, edge: Running, capacity_per_s: float) -> None:
        paths = targets(world.hot)
        self.generator = CompiledGenerator(LOOPBACK, edge.port, requests(paths), CONNECTIONS)
        self.rate_per_s = _SHARE * capacity_per_s
        self._edge = edge
        self._wrk = command(world.directory, edge, paths, connections=_WRK_CONNECTIONS)

    def run(self) -> Outcome:
        """Its capacity, and then its latencies."""
        self.rate_per_s = _SHARE * one_second(self._wrk, self._edge).per_s
        return open_loop(self.generator, _WINDOW_S, self.rate_per_s)


@contextmanager
def control(world: World, rate_per_s: Callable[[], float], seconds: float) -> Iterator[Callable[[], Outcome] | None]:
    """What measures nginx at the rate of that time; None where it is not installed."""
    with ExitStack() as servers:
        try:
            nginx = servers.enter_context(nginx_return(world.directory, next(iter(world.bodies().values()))))
        except Missing:
            yield None
            return
        generator = CompiledGenerator(LOOPBACK, nginx.port, requests(targets(world.hot)), CONNECTIONS)
        yield lambda: open_loop(generator, seconds, rate_per_s())


def open_loop(generator: Generator, seconds: float, rate_per_s: float) -> Outcome:
    """Requests at a constant rate, from a generator that comes first on its core."""
    with undisturbed():
        return generator.open_loop(seconds, rate_per_s)


def load(edge: EdgeUnderTest, paths: Sequence[str]) -> CompiledGenerator:
    """What asks an edge for these, over and over."""
    return CompiledGenerator(LOOPBACK, edge.running.port, requests(paths), CONNECTIONS)


def rows(
    figures: Figures, work: str, found: Sequence[Outcome], note: str, limits: Sequence[tuple[float, str, float | None]]
) -> float:
    """A row for each percentile, which say how often was asked; the first one's figure."""
    assert not sum(outcome.failed() for outcome in found), [outcome.statuses for outcome in found]
    values = [statistics.median(outcome.ms(share)[0] for outcome in found) for share, _, _ in limits]
    note = f"{statistics.median(outcome.per_s for outcome in found):,.0f}/s; {note}"
    for value, (_, name, at_most) in zip(values, limits, strict=True):
        figures.add(Row(work=work, figure=value, unit=f"ms {name}", at_most=at_most, note=note))
    tiers = sum((outcome.tiers for outcome in found[1:]), found[0].tiers)
    print(f"         tiers: {dict(tiers)}", flush=True)
    return values[0]
