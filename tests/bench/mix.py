"""Requests that memory, the replica and the model answer, in an open loop: alone, and while a job stores entries."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from deploy.bench.latencies import Outcome
from tests.bench.between import Between
from tests.bench.figures import Figures, Row
from tests.bench.latency import control, load, on_load_core, open_loop, rows
from tests.bench.rewriting import Rewriting, rewriting
from tests.bench.world import EdgeUnderTest, World, targets

REWRITES_PER_S = 50_000
#: Of that rate, or it was not the load that it is said to be.
_REACHED = 0.95
#: Of a hundred requests, how many keys nobody has asked this edge for before: with an entry, and without one.
REPLICA_SHARE, LIVE_SHARE = 9, 1
_HITS_EACH = (100 - REPLICA_SHARE - LIVE_SHARE) // REPLICA_SHARE
#: An edge is warm when its hot keys have been answered from memory so many times each; half a second a step at most.
_WARM_ROUNDS, _WARM_STEPS = 5, 60
#: How long the mix is asked for at a time, and nginx.
_WINDOW_S, _CONTROL_S = 0.5, 0.25
#: What an edge may do of the mix; and how many times what it did before it is given, so that it sees no key again.
_FIRST_PER_S, _AMPLE = 60_000, 2
#: How many pairs there are at most, for each that counts.
_TRIES = 3
_P99_MS, _BESIDE = 5.0, 1.5


class Pair(NamedTuple):
    """Two runs, one right after the other.

    Attributes:
        stored_per_s: what the replica stored during the second.
    """

    alone: Outcome
    beside: Outcome
    stored_per_s: float

    def ratio(self) -> float:
        """Of the p99."""
        return self.beside.ms(0.99)[0] / self.alone.ms(0.99)[0]


def mixed(world: World, figures: Figures, *, seconds: float, runs: int) -> None:
    """90 of memory, 9 of the replica and 1 live, at 50 % of what the edge can do of that; alone and beside a job.

    The same edge, by turns, at half of what it could do right before, and such pairs between runs of nginx at the same
    rate, as for hits in memory. How much slower it is beside the job is the median of what the pairs say: from one pair
    to the next the machine changes by more than that.
    """
    with (
        on_load_core(),
        rewriting(world, REWRITES_PER_S) as job,
        Mix.of(world, _WINDOW_S) as mix,
        control(world, lambda: mix.rate_per_s, _CONTROL_S) as nginx,
    ):
        between = Between(lambda: mix.pair(job), nginx)
        wanted = round(2 * runs * seconds / _WINDOW_S)
        found = between.found(wanted, at_most=_TRIES * wanted)
    alone, beside, stored_per_s = zip(*found, strict=True)
    rows(figures, "mix 90/9/1, open loop at 50 %", alone, between.note(), [(0.99, "p99", _P99_MS)])
    work = f"mix while a job writes {REWRITES_PER_S:,} keys/s"
    busy_ms = rows(figures, work, beside, between.note(), [(0.99, "p99", _P99_MS)])
    ratio = statistics.median(pair.ratio() for pair in found)
    figures.add(Row(work=work, figure=busy_ms, unit="ms p99", anchor="without the job", ratio=ratio, at_most=_BESIDE))
    figures.add(
        Row(
            work="keys that the replica took meanwhile",
            figure=statistics.median(stored_per_s),
            unit="keys/s",
            at_least=_REACHED * REWRITES_PER_S,
        )
    )


class Mix:
    """Requests of three kinds, at random, to an edge that sees those of two kinds for the first time.

    Attributes:
        rate_per_s: half of what the edge could do of them when it was last measured.
    """

    def __init__(self, world: World, edges: ExitStack, seconds: float) -> None:
        self._world, self._edges, self._seconds = world, edges, seconds
        self._random = random.Random(0)
        self._cold = iter(world.cold)
        #: What the edge has not been asked for yet.
        self._shelf: list[str] = []
        self._edge = self._renewed()
        self.rate_per_s = _FIRST_PER_S / 2
        self._measure()

    @classmethod
    @contextmanager
    def of(cls, world: World, seconds: float) -> Iterator[Mix]:
        """With an edge that runs until the end of the block; each run takes so long."""
        with ExitStack() as edges:
            yield cls(world, edges, seconds)

    def pair(self, job: Rewriting) -> Pair:
        """Its capacity, and then its latencies, alone and beside the job."""
        self._measure()
        count = int(self.rate_per_s * self._seconds)
        self._stock(2 * count)
        first, second = (load(self._edge, self._paths(count)) for _ in range(2))
        alone = open_loop(first, self._seconds, self.rate_per_s)
        with job.going_on():
            stored = self._world.stored()
            beside = open_loop(second, self._seconds, self.rate_per_s)
            stored_per_s = (self._world.stored() - stored) / beside.took_s
        return Pair(alone, beside, stored_per_s)

    def _measure(self) -> None:
        """Half of the capacity."""
        count = int(_AMPLE * 2 * self.rate_per_s * self._seconds)
        self._stock(count)
        self.rate_per_s = load(self._edge, self._paths(count)).closed_loop(self._seconds).per_s / 2

    def _stock(self, count: int) -> None:
        """Another edge, where too little is left on the shelf for two lists of so many requests in all."""
        if len(self._shelf) < count // _HITS_EACH + 2:
            self._edges.close()
            self._edge = self._renewed()

    def _renewed(self) -> EdgeUnderTest:
        """An edge that has the hot keys in memory, and nothing of what is on the shelf."""
        edge = self._edges.enter_context(self._world.edge())
        generator, hits = load(edge, targets(self._world.hot)), 0
        for _ in range(_WARM_STEPS):
            hits += generator.closed_loop(0.5).tiers["memory"]
            if hits > _WARM_ROUNDS * len(self._world.hot):
                self._shelf = list(self._world.shelf)
                return edge
        raise AssertionError(f"{hits} memory hits in {_WARM_STEPS / 2:g} s")

    def _paths(self, count: int) -> Sequence[str]:
        """At least so many, which use up a part of what is on the shelf."""
        names: list[str] = []
        while len(names) < count:
            part = [self._shelf.pop(), *self._random.choices(self._world.hot, k=_HITS_EACH)]
            if self._random.random() < LIVE_SHARE / REPLICA_SHARE and (cold := next(self._cold, None)):
                part.append(cold)
            self._random.shuffle(part)
            names += part
        return targets(names)
