"""A million entries in one process: whether anything holds up the loop, and whether hits are as fast as with few."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from edge.edition import Editions
from edge.held import Held
from edge.memory import Memory
from edge.server import keep_what_is_there
from precompute.entry import header, identity, tail
from precompute.freshness import Freshness
from precompute.keys import ORDERS, entry_key
from precompute.updates import AsOf
from tests.bench.figures import Figures, Row
from tests.bench.latency import load, on_load_core, open_loop
from tests.bench.node import warmed
from tests.bench.world import World, targets

MILLION, FEW = 1_000_000, 10_000
#: As many keys as a generator can ask for without its own memory being measured.
_SPREAD = 200_000
#: How often, and for how long at a time.
_RATE_PER_S, _WINDOW_S = 10_000.0, 1.0
#: Replacing, evicting and hitting goes on for so long once it is full.
_FURTHER = 500_000
_AT_MOST_MS = 1.0
#: Steps that take longer are remembered.
_NOTED_MS = 0.1


def pauses(world: World, figures: Figures) -> None:
    """The dearest single step of the memory tier, by the processor's clock: growing to a million, and staying there."""
    keep_what_is_there()
    slow_ms = _slow_ms(world)
    if max(slow_ms.values()) > _AT_MOST_MS:
        # A virtual processor's clock goes on while others have the real one; but not at the same step again.
        again_ms = _slow_ms(world)
        slow_ms = {step: min(ms, again_ms.get(step, _NOTED_MS)) for step, ms in slow_ms.items()}
    figures.add(
        Row(
            work=f"longest step of memory, {MILLION:,} entries",
            figure=max(slow_ms.values()),
            unit="ms",
            at_most=_AT_MOST_MS,
            note="puts, replacements, evictions and hits; collections included",
        )
    )


def _slow_ms(world: World) -> dict[int, float]:
    filling = _Filling(world)
    filling.grow()
    # As many bytes as there are now: from here on each new entry throws one out.
    filling.memory.max_bytes = filling.memory.bytes
    filling.churn()
    filling.crowd()
    return filling.slow_ms


class _Filling:
    """Entries of the world's model, one after the other."""

    def __init__(self, world: World) -> None:
        self.memory: Memory[Held] = Memory(1 << 31)
        self.slow_ms = {0: 0.0}
        self._steps = 0
        self._model = world.project.model("score")
        self._edition = Editions(Freshness([*world.project.views, ORDERS])).of(world.predictor().servable)
        as_of = AsOf(1, (1 << 60, 0))
        self._head, self._tail = header(as_of, 1), b'"outputs":{"y":0.25}' + tail(as_of, 1)

    def grow(self) -> None:
        """To a million."""
        for number in range(MILLION):
            self._step(partial(self._put, number))

    def churn(self) -> None:
        """New entries, old ones anew, and hits."""
        chance = random.Random(0)
        for number in range(MILLION, MILLION + _FURTHER):
            known = chance.randrange(MILLION)
            self._step(partial(self._put, number))
            self._step(partial(self._put, known))
            self._step(partial(self.memory.get, entry_key("score", 1, _name(known))))

    def crowd(self) -> None:
        """Everything is asked for, and then more comes: nothing is there that nobody wants."""
        for number in range(MILLION + _FURTHER):
            self.memory.get(entry_key("score", 1, _name(number)))
        for number in range(2 * MILLION, 2 * MILLION + _FURTHER // 10):
            self._step(partial(self._put, number))

    def _put(self, number: int) -> None:
        name = _name(number)
        body = identity("score", 1, "default", name) + self._tail
        self.memory.put(
            entry_key("score", 1, name),
            self._edition.hold(*self._edition.of_key(self._model.parse_key(name)), self._head, body),
        )

    def _step(self, work: Callable[[], object]) -> None:
        # Others use the machine: what counts is how long we were busy, not how long it was until we went on.
        began_ns = time.thread_time_ns()
        work()
        self._steps += 1
        if (took_ms := (time.thread_time_ns() - began_ns) / 1e6) > _NOTED_MS:
            self.slow_ms[self._steps] = took_ms


def _name(number: int) -> str:
    return f"user-{number:07d}-of-a-bench-here"


def hits(figures: Figures, *, seconds: float, runs: int) -> None:
    """p99 of hits among a million entries against that among ten thousand, at one rate.

    Requests are spread over ten thousand keys, as everywhere; and then over many more of the million, which measures
    something else: what is asked for a second time costs less than what nobody has asked for before.
    """
    with (
        tempfile.TemporaryDirectory(prefix="nearcast-million-") as directory,
        World.make(Path(directory), hot=10, shelf=MILLION, cold=10) as world,
    ):
        few, many, spread = _p99s_ms(world, round((2 * runs + 1) * seconds / _WINDOW_S))
    anchor, note = f"among {FEW:,}", f"{_RATE_PER_S:,.0f}/s, spread over"
    works = [(many, 1.3, f"{note} {FEW:,} keys"), (spread, None, f"{note} {_SPREAD:,} keys")]
    for p99s_ms, at_most, note in works:
        work = f"memory hit among {MILLION:,} entries, open loop"
        figures.add(
            Row(
                work=work,
                figure=statistics.median(p99s_ms),
                unit="ms p99",
                anchor=anchor,
                ratio=statistics.median([many_ms / few_ms for many_ms, few_ms in zip(p99s_ms, few, strict=True)]),
                at_most=at_most,
                note=note,
            )
        )


def _p99s_ms(world: World, turns: int) -> list[list[float]]:
    """Of an edge with few entries and of one with many, taking short turns: what is compared lies side by side."""
    chance = random.Random(0)
    asked = [chance.sample(world.shelf, FEW), chance.choices(world.shelf, k=_SPREAD)]
    found: list[list[float]] = [[], [], []]
    with warmed(world, world.shelf[:FEW]) as few, warmed(world, world.shelf) as many, on_load_core():
        generators = [load(few, targets(world.shelf[:FEW])), *(load(many, targets(names)) for names in asked)]
        for generator in generators:
            generator.closed_loop(2.0)
        for _ in range(turns):
            for generator, p99s_ms in zip(generators, found, strict=True):
                outcome = open_loop(generator, _WINDOW_S, _RATE_PER_S)
                assert outcome.tiers.keys() == {"memory"}, outcome.tiers
                p99s_ms.append(outcome.ms(0.99)[0])
    return found
