"""Exposures: batched, bounded, droppable, counted; recorded for whole units."""

from __future__ import annotations

import asyncio
from collections import Counter

from edge.assignment import Assigned, is_sampled
from edge.exposures import Exposures
from precompute.errors import StoreUnavailable
from precompute.experiments import Arm, Experiment
from precompute.exposures import KEEP_S
from precompute.store import CommandFailed
from tests.unit.edge.test_write_back import FakePrimary
from tests.waiting import until

ARMS = (Arm("a", "default", None, 1.0), Arm("b", "fast", None, 1.0))


def assigned(
    unit: str = "u", arm: int = 0, *, override: bool = False, name: str = "x", sample: float = 1.0
) -> Assigned:
    """An answer's part in an experiment."""
    experiment = Experiment(name=name, model="m", layer="m", arms=ARMS, salt=name, sample=sample)
    return Assigned(experiment, ARMS[arm], unit, "plan", override)


def make(max_waiting: int = 100) -> tuple[Exposures, FakePrimary]:
    """Exposures and their primary."""
    primary = FakePrimary()
    return Exposures(primary, max_waiting=max_waiting, kept=1000), primary  # type: ignore[arg-type]


async def test_a_batch_goes_out_by_itself_with_all_there_is_to_know() -> None:
    """Records and counts of each experiment in one piece."""
    exposures, primary = make()

    exposures.offer(assigned("u1"), "k1", 3, "memory", 0.0000514, 12)
    exposures.offer(assigned("u2", 1, override=True), "k2", 4, "live", 0.002, 13)
    await until(primary.was_asked)

    stream, counts = "experiment:{x}:exposures", "experiment:{x}:answers"
    head = ("XADD", stream, "MAXLEN", "~", 1000, "*")
    assert primary.sent == [
        (*head, "at", 12, "arm", "a", "unit", "u1", "key", "k1", "version", 3,
         "tier", "memory", "us", 51, "plan", "plan", "override", 0),
        (*head, "at", 13, "arm", "b", "unit", "u2", "key", "k2", "version", 4,
         "tier", "live", "us", 2000, "plan", "plan", "override", 1),
        ("HINCRBY", counts, "a:memory", 1),
        ("HINCRBY", counts, "b:override:live", 1),
        ("HINCRBY", counts, "records", 2),
        ("EXPIRE", stream, KEEP_S),
        ("EXPIRE", counts, KEEP_S),
    ]  # fmt: skip


async def test_who_is_not_sampled_is_counted_all_the_same() -> None:
    """And those who were asked to be in an arm are always recorded."""
    exposures, primary = make()
    units = [f"u{n}" for n in range(40)]

    for unit in units:
        exposures.offer(assigned(unit, sample=0.3), "k", 1, "memory", 0.001, 1)
    exposures.offer(assigned("tester", override=True, sample=0.000001), "k", 1, "memory", 0.001, 1)
    exposures.send()

    records = {command[11] for command in primary.sent if command[0] == "XADD" and command[-1] == 0}
    of_all = {unit for unit in units if is_sampled(assigned(sample=0.3).experiment, unit.encode())}
    assert records == of_all
    assert 0 < len(records) < 40
    added = Counter({str(c[2]): int(c[3]) for c in primary.sent if c[0] == "HINCRBY"})
    assert added == {"a:memory": 40, "a:override:memory": 1, "records": len(records) + 1}


async def test_too_many_are_dropped_and_counted() -> None:
    """Until the primary has acknowledged what waits."""
    exposures, primary = make(max_waiting=2)

    for _ in range(3):
        exposures.offer(assigned(), "k", 1, "memory", 0.001, 1)
    exposures.send()
    exposures.offer(assigned(), "k", 1, "memory", 0.001, 1)
    assert (exposures.waiting, exposures.dropped) == (2, 2)
    primary.futures[0].set_result([b"1-0", b"2-0", 2, 2])
    await asyncio.sleep(0)

    assert (exposures.waiting, exposures.written, exposures.dropped) == (0, 2, 2)


async def test_without_a_primary_they_are_dropped_and_counted() -> None:
    """Away from the start, lost on the way, or full."""
    exposures, primary = make()

    primary.error = StoreUnavailable("away")
    exposures.offer(assigned(), "k", 1, "memory", 0.001, 1)
    exposures.send()
    primary.error = None
    exposures.offer(assigned(), "k", 1, "memory", 0.001, 1)
    exposures.send()
    primary.futures[0].set_exception(StoreUnavailable("lost"))
    exposures.offer(assigned(), "k", 1, "memory", 0.001, 1)
    exposures.send()
    primary.futures[1].set_result([CommandFailed("OOM"), 1, 1])
    await asyncio.sleep(0)

    assert (exposures.waiting, exposures.written, exposures.dropped) == (0, 0, 3)
    exposures.send()
    assert len(primary.futures) == 2


async def test_what_is_kept_is_shared_among_the_experiments_that_run() -> None:
    """So that a thousand of them take no more room than one; some of each is always there."""
    _, primary = make()
    kept = []

    for running in (1, 10, 10_000):
        exposures = Exposures(primary, max_waiting=10, kept=50_000)  # type: ignore[arg-type]
        exposures.share_among(running)
        exposures.offer(assigned(), "k", 1, "memory", 0.001, 1)
        exposures.send()
        kept.append(primary.sent[-5][4])

    assert kept == [50_000, 5_000, 1_000]
