"""Write-backs: bounded, droppable, counted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from edge.write_back import WriteBack
from precompute.errors import Overloaded, PermanentError, StoreUnavailable
from precompute.predictor import Batch
from precompute.store import CommandFailed
from precompute.updates import AsOf, Command, Reply
from tests.unit.edge.rig import EPOCH, NOW_MS, Rig
from tests.waiting import until


class FakePrimary:
    """A link to a primary that answers when it is told to."""

    def __init__(self) -> None:
        self.sent: list[Command] = []
        self.futures: list[asyncio.Future[list[Reply]]] = []
        self.error: Exception | None = None

    async def was_asked(self) -> bool:
        return bool(self.futures)

    def run(self, commands: Sequence[Command]) -> asyncio.Future[list[Reply]]:
        if self.error is not None:
            raise self.error
        self.sent += commands
        self.futures.append(asyncio.get_running_loop().create_future())
        return self.futures[-1]


def batch(rig: Rig, count: int, failed: int = 0) -> Batch:
    """So many predictions, and so many keys that failed."""
    keys = [rig.servable.model.parse_key(f"t{i}:p") for i in range(count + failed)]
    bodies: list[bytes | PermanentError] = [b"{}"] * count + [PermanentError("no")] * failed
    return Batch(keys, bodies, AsOf(EPOCH, (1, 1, 0)), NOW_MS, b"head")


def make(max_waiting: int = 10) -> tuple[WriteBack, FakePrimary, Rig]:
    """A write-back, its primary, and something to write."""
    primary = FakePrimary()
    return WriteBack(primary, max_waiting=max_waiting), primary, Rig()  # type: ignore[arg-type]


async def test_what_could_be_computed_is_written_with_its_lifetime() -> None:
    """Nothing else is, and the counters tell what became of it."""
    back, primary, rig = make()

    back.offer(rig.servable, batch(rig, 2, failed=1))
    back.send()
    waiting = back.waiting
    primary.futures[0].set_result([b"OK", CommandFailed("OOM")])
    await asyncio.sleep(0)

    assert primary.sent[0] == ("SET", "p:score:1:t0:p", b"head{}", "PX", 100_000)
    assert (waiting, back.waiting, back.written, back.refused, back.dropped) == (2, 0, 1, 1, 0)


async def test_what_comes_shortly_after_one_another_is_sent_together() -> None:
    """Without anybody's doing, and each batch once."""
    back, primary, rig = make()

    back.offer(rig.servable, batch(rig, 2))
    back.offer(rig.servable, batch(rig, 1))
    at_once = len(primary.sent)
    await until(primary.was_asked)
    back.send()

    assert (at_once, len(primary.sent)) == (0, 3)
    assert len(primary.futures) == 1


async def test_what_gathers_is_bounded_as_well() -> None:
    """Entries that have not been sent yet take room like those that have."""
    back, _, rig = make(max_waiting=10)

    for _ in range(4):
        back.offer(rig.servable, batch(rig, 4))

    assert (back.waiting, back.dropped) == (8, 8)


async def test_a_batch_without_results_sends_nothing() -> None:
    """There is nothing to tell anybody."""
    back, primary, rig = make()

    back.offer(rig.servable, batch(rig, 0, failed=3))
    back.send()

    assert primary.futures == []


async def test_beyond_the_bound_batches_are_dropped_and_counted() -> None:
    """A slow primary costs write-backs, never memory or time; room comes back with its replies."""
    back, primary, rig = make(max_waiting=10)

    for _ in range(4):
        back.offer(rig.servable, batch(rig, 4))
        back.send()
    dropped = back.dropped
    primary.futures[0].set_result([b"OK"] * 4)
    await asyncio.sleep(0)
    back.offer(rig.servable, batch(rig, 4))

    assert (dropped, back.dropped, back.waiting) == (8, 8, 8)


@pytest.mark.parametrize("error", [StoreUnavailable("away"), Overloaded("full")])
async def test_a_primary_that_is_away_costs_nothing_but_the_write(error: Exception) -> None:
    """The answer has been given already."""
    back, primary, rig = make()
    primary.error = error

    back.offer(rig.servable, batch(rig, 3))
    back.send()

    assert (back.dropped, back.waiting) == (3, 0)


async def test_a_write_lost_on_its_way_is_counted_as_dropped() -> None:
    """The connection broke before the primary answered."""
    back, primary, rig = make()

    back.offer(rig.servable, batch(rig, 3))
    back.send()
    primary.futures[0].set_exception(StoreUnavailable("lost"))
    await asyncio.sleep(0)

    assert (back.dropped, back.written, back.waiting) == (3, 0, 0)
