"""Latency at a constant arrival rate, counted from when a request was due."""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from deploy.bench.generator import Generator
from deploy.bench.latencies import Outcome
from deploy.local.ports import LOOPBACK
from tests.bench.anchors import nginx_return
from tests.bench.cores import LOAD_CORE, Missing
from tests.bench.figures import Figures, Row
from tests.bench.world import EdgeUnderTest, World, requests, targets

CONNECTIONS = 64
REWRITES_PER_S = 50_000
#: Of that rate, or it was not the load that it is said to be.
_REACHED = 0.95
#: Of a hundred requests, how many keys nobody has asked this edge for before: with an entry, and without one.
REPLICA_SHARE, LIVE_SHARE = 9, 1


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
    """Hits at 60 % of what the edge can do; and nginx at the same rate, which tells what the machine adds to it.

    Near its limit a server takes long to catch up after it was kept from its core, by other systems on the machine
    too. More runs than elsewhere, so that the median is of one without such a stop.
    """
    rate, paths = 0.6 * capacity_per_s, targets(world.hot)
    with ExitStack() as servers:
        ports = {"memory hit": servers.enter_context(world.edge()).running.port}
        with suppress(Missing):
            body = next(iter(world.bodies().values()))
            ports["nginx return 200"] = servers.enter_context(nginx_return(world.directory, body)).port
        servers.enter_context(on_load_core())
        generators = {name: Generator(LOOPBACK, port, requests(paths), CONNECTIONS) for name, port in ports.items()}
        found: dict[str, list[Outcome]] = {name: [] for name in ports}
        for generator in generators.values():
            generator.closed_loop(2.0)
        for _ in range(2 * runs + 1):
            for name, generator in generators.items():
                found[name].append(generator.open_loop(seconds, rate))
    for name, outcomes in found.items():
        limits = (1.0, 5.0) if name == "memory hit" else (None, None)
        wanted = [(0.99, "p99", limits[0]), (0.999, "p99.9", limits[1])]
        _rows(figures, f"{name}, open loop at 60 %", outcomes, f"{rate:,.0f}/s", wanted)


def mixed(world: World, figures: Figures, *, seconds: float, runs: int) -> None:
    """90 of memory, 9 of the replica and 1 live, at 50 % of what the edge can do of that; then beside a job."""
    mix = Mix(world)
    with on_load_core():
        with world.edge() as edge:
            mix.warm(edge)
            capacity_per_s = load(edge, mix.paths()).closed_loop(seconds).per_s
        rate = capacity_per_s / 2
        alone = mix.measured(rate, seconds, runs)
        job = world.rewriting(REWRITES_PER_S)
        try:
            beside = mix.measured(rate, seconds, runs)
        finally:
            job.kill()
            job.wait()
    quiet = _rows(figures, "mix 90/9/1, open loop at 50 %", alone, f"{rate:,.0f}/s", [(0.99, "p99", 5.0)])
    work = f"mix while a job writes {REWRITES_PER_S:,} keys/s"
    busy = _rows(figures, work, beside, f"{rate:,.0f}/s", [(0.99, "p99", 5.0)])
    figures.add(Row(work=work, figure=busy, unit="ms p99", anchor="without the job", ratio=busy / quiet, at_most=1.5))
    stored = statistics.median(mix.stored_per_s[runs:])
    least = _REACHED * REWRITES_PER_S
    figures.add(Row(work="keys that the replica took meanwhile", figure=stored, unit="keys/s", at_least=least))


class Mix:
    """Requests of three kinds, at random, from keys that each run of an edge sees for the first time.

    Attributes:
        stored_per_s: what the replica stored during each measured run.
    """

    def __init__(self, world: World) -> None:
        self.stored_per_s: list[float] = []
        self._world = world
        self._random = random.Random(0)
        self._cold = iter(world.cold)

    def warm(self, edge: EdgeUnderTest) -> None:
        """Brings the hot keys into memory."""
        outcome = load(edge, targets(self._world.hot)).closed_loop(1.5)
        assert outcome.tiers["memory"] > len(self._world.hot), outcome.tiers

    def paths(self) -> list[str]:
        """As many as there are keys on the shelf for."""
        names = []
        for shelved in self._world.shelf:
            part = [shelved, *self._random.choices(self._world.hot, k=90 // REPLICA_SHARE)]
            if self._random.random() < LIVE_SHARE / REPLICA_SHARE and (cold := next(self._cold, None)):
                part.append(cold)
            self._random.shuffle(part)
            names += part
        return targets(names)

    def measured(self, rate_per_s: float, seconds: float, runs: int) -> list[Outcome]:
        """One edge for each run, so that what is on the shelf is in no memory."""
        found = []
        for _ in range(runs):
            with self._world.edge() as edge:
                self.warm(edge)
                generator, stored = load(edge, self.paths()), self._world.stored()
                found.append(generator.open_loop(seconds, rate_per_s))
                self.stored_per_s.append((self._world.stored() - stored) / found[-1].took_s)
        return found


def load(edge: EdgeUnderTest, paths: Sequence[str]) -> Generator:
    """What asks an edge for these, over and over."""
    return Generator(LOOPBACK, edge.running.port, requests(paths), CONNECTIONS)


def _rows(
    figures: Figures, work: str, found: list[Outcome], note: str, limits: Sequence[tuple[float, str, float | None]]
) -> float:
    """A row for each percentile; the first one's figure."""
    assert not sum(outcome.failed() for outcome in found), [outcome.statuses for outcome in found]
    values = [statistics.median(outcome.ms(share)[0] for outcome in found) for share, _, _ in limits]
    for value, (_, name, at_most) in zip(values, limits, strict=True):
        figures.add(Row(work=work, figure=value, unit=f"ms {name}", at_most=at_most, note=note))
    tiers = sum((outcome.tiers for outcome in found[1:]), found[0].tiers)
    print(f"         tiers: {dict(tiers)}", flush=True)
    return values[0]
