"""Exposures: batched, bounded, droppable, counted; recorded for whole units."""

from __future__ import annotations

import asyncio

import orjson

from edge.assignment import Assigned, is_sampled
from edge.exposures import MOST_GATHERED, Exposures
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


def record(*values: object) -> tuple[object, ...]:
    """The command that stores one."""
    return "XADD", "experiment:{x}:exposures", "MAXLEN", "~", 1000, "*", b"e", orjson.dumps(values)


async def test_records_go_out_by_themselves_with_all_there_is_to_know() -> None:
    """In one piece."""
    exposures, primary = make()

    exposures.offer(assigned("u1"), "k1", 3, "memory", 0.0000514, 12)
    exposures.offer(assigned("u2", 1, override=True), "k2", 4, "live", 0.002, 13)
    await until(primary.was_asked)

    assert primary.sent == [
        record(12, "a", "u1", "k1", 3, "memory", 51, "plan", False),
        record(13, "b", "u2", "k2", 4, "live", 2000, "plan", True),
    ]


async def test_answers_are_counted_besides() -> None:
    """By arm and tier, those that were asked for apart; with the records that have arrived."""
    exposures, primary = make()

    for arm in (0, 0, 1):
        exposures.offer(assigned(arm=arm), "k", 1, "memory", 0.001, 12)
    exposures.offer(assigned(arm=1, override=True), "k", 1, "live", 0.001, 12)
    exposures.send()
    primary.futures[0].set_result([b"1-0", b"2-0", b"3-0", CommandFailed("OOM")])
    await asyncio.sleep(0)
    primary.sent.clear()
    exposures.send_counts()
    exposures.send_counts()

    counts = "experiment:{x}:answers"
    assert primary.sent == [
        ("HINCRBY", counts, "a:memory", 2),
        ("HINCRBY", counts, "b:memory", 1),
        ("HINCRBY", counts, "b:override:live", 1),
        ("HINCRBY", counts, "records", 3),
        ("EXPIRE", counts, KEEP_S),
        ("EXPIRE", "experiment:{x}:exposures", KEEP_S),
    ]
    assert (exposures.written, exposures.dropped) == (3, 1)


async def test_who_is_not_sampled_is_counted_all_the_same() -> None:
    """And those who asked to be in an arm are always recorded."""
    exposures, primary = make()
    units = [f"u{n}" for n in range(40)]

    for unit in units:
        exposures.offer(assigned(unit, sample=0.3), "k", 1, "memory", 0.001, 1)
    exposures.offer(assigned("tester", override=True, sample=0.000001), "k", 1, "memory", 0.001, 1)
    exposures.send()
    exposures.send_counts()

    stored = [orjson.loads(command[-1]) for command in primary.sent if command[0] == "XADD"]  # type: ignore[arg-type]
    records = {values[2] for values in stored if not values[-1]}
    assert records == {unit for unit in units if is_sampled(assigned(sample=0.3).experiment, unit)}
    assert 0 < len(records) < 40
    added = {c[2]: c[3] for c in primary.sent if c[0] == "HINCRBY"}
    assert added == {"a:memory": 40, "a:override:memory": 1}


async def test_too_many_are_dropped_and_counted() -> None:
    """Until the primary has acknowledged what waits."""
    exposures, primary = make(max_waiting=2)

    for _ in range(3):
        exposures.offer(assigned(), "k", 1, "memory", 0.001, 1)
    exposures.send()
    exposures.offer(assigned(), "k", 1, "memory", 0.001, 1)
    assert (exposures.waiting, exposures.dropped) == (2, 2)
    primary.futures[0].set_result([b"1-0", b"2-0"])
    await asyncio.sleep(0)

    assert (exposures.waiting, exposures.written, exposures.dropped) == (0, 2, 2)


async def test_without_a_primary_records_are_dropped_and_counts_wait() -> None:
    """Away from the start, or lost on the way."""
    exposures, primary = make()

    primary.error = StoreUnavailable("away")
    exposures.offer(assigned(), "k", 1, "memory", 0.001, 1)
    exposures.send()
    exposures.send_counts()
    primary.error = None
    exposures.offer(assigned(), "k", 1, "memory", 0.001, 1)
    exposures.send()
    primary.futures[0].set_exception(StoreUnavailable("lost"))
    await asyncio.sleep(0)
    exposures.send()
    exposures.send_counts()

    assert (exposures.waiting, exposures.written, exposures.dropped) == (0, 0, 2)
    assert len(primary.futures) == 2
    assert ("HINCRBY", "experiment:{x}:answers", "a:memory", 2) in primary.sent


async def test_what_is_kept_is_shared_among_the_experiments_that_run() -> None:
    """So that a thousand of them take no more room than one; some of each is always there."""
    _, primary = make()
    kept = []

    for running in (1, 10, 10_000):
        exposures = Exposures(primary, max_waiting=10, kept=50_000)  # type: ignore[arg-type]
        exposures.share_among(running)
        exposures.offer(assigned(), "k", 1, "memory", 0.001, 1)
        exposures.send()
        kept.append(primary.sent[-1][4])

    assert kept == [50_000, 5_000, 1_000]


async def test_a_burst_goes_out_in_pieces() -> None:
    """So that nobody waits for a large batch to be packed."""
    exposures, primary = make(max_waiting=10_000)

    for _ in range(2 * MOST_GATHERED + 1):
        exposures.offer(assigned(), "k", 1, "memory", 0.001, 1)

    assert len(primary.futures) == 2
    assert sum(command[0] == "XADD" for command in primary.sent) == 2 * MOST_GATHERED
