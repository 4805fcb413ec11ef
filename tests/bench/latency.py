"""Latency at a constant arrival rate, counted from when a request was due."""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from deploy.bench.generator import Generator
from deploy.bench.latencies import Outcome
from deploy.local.ports import LOOPBACK
from tests.bench.anchors import nginx_return
from tests.bench.between import Between
from tests.bench.cores import LOAD_CORE, Missing, undisturbed
from tests.bench.figures import Figures, Row
from tests.bench.world import EdgeUnderTest, World, requests, targets

CONNECTIONS = 64
#: What a memory hit may take at 60 % of capacity.
_P99_MS, _P999_MS = 1.0, 5.0
#: What p99 nginx has on a machine that does nothing else is 0.2 ms; and how long it is asked.
_CALM_MS, _CONTROL_S = 0.5, 1.0
REWRITES_PER_S = 50_000
#: Of that rate, or it was not the load that it is said to be.
_REACHED = 0.95
#: Of a hundred requests, how many keys nobody has asked this edge for before: with an entry, and without one.
REPLICA_SHARE, LIVE_SHARE = 9, 1
#: An edge is warm when its hot keys have been answered from memory so many times each; half a second a step at most.
_WARM_ROUNDS, _WARM_STEPS = 5, 60


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
    too. So there are more runs than elsewhere; and while nginx does not keep the limit either, the machine is not fit
    to tell whether the edge does.
    """
    rate, paths = 0.6 * capacity_per_s, targets(world.hot)
    with ExitStack() as servers:
        generator = Generator(LOOPBACK, servers.enter_context(world.edge()).running.port, requests(paths), CONNECTIONS)
        control = servers.enter_context(_control(world, rate, seconds))
        servers.enter_context(on_load_core())
        generator.closed_loop(2.0)
        between = Between(lambda: open_loop(generator, seconds, rate), control, limit_ms=_P99_MS)
        found = between.found(2 * runs + 1)
    work = "{}, open loop at 60 %".format
    note = f"{rate:,.0f}/s; {between.note(found)}"
    _rows(figures, work("memory hit"), found, note, [(0.99, "p99", _P99_MS), (0.999, "p99.9", _P999_MS)])
    if between.controls:
        limitless = [(0.99, "p99", None), (0.999, "p99.9", None)]
        _rows(figures, work("nginx return 200"), between.controls, f"{rate:,.0f}/s", limitless)


def mixed(world: World, figures: Figures, *, seconds: float, runs: int) -> None:
    """90 of memory, 9 of the replica and 1 live, at 50 % of what the edge can do of that; alone and beside a job.

    One right after the other, and such pairs between runs of nginx at the same rate, as for `memory_hits`.
    """
    mix = Mix(world)
    with on_load_core():
        with world.edge() as edge:
            mix.warm(edge)
            rate = load(edge, mix.paths()).closed_loop(seconds).per_s / 2
        with _control(world, rate, _CONTROL_S) as control:
            between = Between(lambda: mix.pair(rate, seconds), control, limit_ms=_CALM_MS)
            found = between.found(2 * runs - 1)
    alone, beside, stored_per_s = zip(*found, strict=True)
    note = f"{rate:,.0f}/s; {between.note(found)}"
    quiet = _rows(figures, "mix 90/9/1, open loop at 50 %", alone, note, [(0.99, "p99", 5.0)])
    work = f"mix while a job writes {REWRITES_PER_S:,} keys/s"
    busy = _rows(figures, work, beside, note, [(0.99, "p99", 5.0)])
    figures.add(Row(work=work, figure=busy, unit="ms p99", anchor="without the job", ratio=busy / quiet, at_most=1.5))
    figures.add(
        Row(
            work="keys that the replica took meanwhile",
            figure=statistics.median(stored_per_s),
            unit="keys/s",
            at_least=_REACHED * REWRITES_PER_S,
        )
    )


@contextmanager
def _control(world: World, rate_per_s: float, seconds: float) -> Iterator[Callable[[], Outcome] | None]:
    """What measures nginx at the same rate; None where it is not installed."""
    with ExitStack() as servers:
        try:
            nginx = servers.enter_context(nginx_return(world.directory, next(iter(world.bodies().values()))))
        except Missing:
            yield None
            return
        generator = Generator(LOOPBACK, nginx.port, requests(targets(world.hot)), CONNECTIONS)
        yield lambda: open_loop(generator, seconds, rate_per_s)


def open_loop(generator: Generator, seconds: float, rate_per_s: float) -> Outcome:
    """Requests at a constant rate, from a generator that comes first on its core."""
    with undisturbed():
        return generator.open_loop(seconds, rate_per_s)


class Mix:
    """Requests of three kinds, at random, from keys that each run of an edge sees for the first time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = random.Random(0)
        self._cold = iter(world.cold)

    def warm(self, edge: EdgeUnderTest) -> None:
        """Brings the hot keys into memory, and asks for each some times more."""
        generator, hits = load(edge, targets(self._world.hot)), 0
        for _ in range(_WARM_STEPS):
            hits += generator.closed_loop(0.5).tiers["memory"]
            if hits > _WARM_ROUNDS * len(self._world.hot):
                return
        raise AssertionError(f"{hits} memory hits in {_WARM_STEPS / 2:g} s")

    def paths(self, most: int | None = None) -> list[str]:
        """At least so many, if there are keys on the shelf for them; else as many as there are."""
        names: list[str] = []
        for shelved in self._world.shelf:
            if most is not None and len(names) >= most:
                break
            part = [shelved, *self._random.choices(self._world.hot, k=90 // REPLICA_SHARE)]
            if self._random.random() < LIVE_SHARE / REPLICA_SHARE and (cold := next(self._cold, None)):
                part.append(cold)
            self._random.shuffle(part)
            names += part
        return targets(names)

    def pair(self, rate_per_s: float, seconds: float) -> tuple[Outcome, Outcome, float]:
        """Alone, and beside a job; and what the replica stored in a second then."""
        alone, _ = self.measured(rate_per_s, seconds)
        job = self._world.rewriting(REWRITES_PER_S)
        try:
            return alone, *self.measured(rate_per_s, seconds)
        finally:
            job.kill()
            job.communicate()

    def measured(self, rate_per_s: float, seconds: float) -> tuple[Outcome, float]:
        """An edge of its own, so that what is on the shelf is in no memory; and what the replica stored in a second."""
        with self._world.edge() as edge:
            self.warm(edge)
            paths = self.paths(int(rate_per_s * seconds) + CONNECTIONS)
            generator, stored = load(edge, paths), self._world.stored()
            outcome = open_loop(generator, seconds, rate_per_s)
            return outcome, (self._world.stored() - stored) / outcome.took_s


def load(edge: EdgeUnderTest, paths: Sequence[str]) -> Generator:
    """What asks an edge for these, over and over."""
    return Generator(LOOPBACK, edge.running.port, requests(paths), CONNECTIONS)


def _rows(
    figures: Figures, work: str, found: Sequence[Outcome], note: str, limits: Sequence[tuple[float, str, float | None]]
) -> float:
    """A row for each percentile; the first one's figure."""
    assert not sum(outcome.failed() for outcome in found), [outcome.statuses for outcome in found]
    values = [statistics.median(outcome.ms(share)[0] for outcome in found) for share, _, _ in limits]
    for value, (_, name, at_most) in zip(values, limits, strict=True):
        figures.add(Row(work=work, figure=value, unit=f"ms {name}", at_most=at_most, note=note))
    tiers = sum((outcome.tiers for outcome in found[1:]), found[0].tiers)
    print(f"         tiers: {dict(tiers)}", flush=True)
    return values[0]
