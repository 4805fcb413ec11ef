"""Rows that requests bring along: batches, limits and threads that they have in common with keys."""

from __future__ import annotations

import asyncio
import threading
from itertools import count
from typing import Any

import numpy as np
import pytest

from edge import batch_lane
from edge.batch_lane import MAX_BATCH
from edge.tensor_lane import GivenRows
from precompute.errors import Overloaded, PermanentError
from precompute.outputs import default_rules
from precompute.predictor import Predictor, Servable
from precompute.runtime import Session
from precompute.tensor_runs import run_together
from tests import onnx_models
from tests.unit.edge.rig import POISON, Rig

NAMES = count()


def rows(*sums: float, name: str = "") -> GivenRows:
    """A row for each number: x of it and nothing, y of nothing."""
    x = np.array([[value, 0.0] for value in sums], np.float32)
    y = np.array([[POISON if value == POISON else 0.0] for value in sums], np.float32)
    return GivenRows(name or str(next(NAMES)), {"x": x, "y": y}, len(sums))


class Bench:
    """Live inference of a rig's model."""

    def __init__(self, max_waiting: int = 1000) -> None:
        self.rig = Rig(max_waiting=max_waiting)
        self.live = self.rig.ladder.live

    async def run(self, given: GivenRows) -> list[float]:
        """The sums, which must be there."""
        (outcome,) = await self.live.run(self.rig.predictor, given)
        if isinstance(outcome, Exception):
            raise outcome
        found: list[float] = outcome["sum"][:, 0].tolist()
        return found


async def test_rows_of_one_turn_are_one_batch() -> None:
    """And each request gets its own."""
    bench = Bench()

    found = await asyncio.gather(bench.run(rows(1, 2)), bench.run(rows(3)), bench.run(rows(4, 5, 6)))

    assert found == [[1, 2], [3], [4, 5, 6]]
    assert (bench.live.rows, bench.live.batches) == (6, 1)
    assert bench.live.work["score"].rows == 6


async def test_a_request_is_not_cut_and_not_joined_beyond_a_batch() -> None:
    """One of more rows than a batch holds goes alone."""
    bench = Bench()
    large = rows(*range(MAX_BATCH + 10))

    found = await asyncio.gather(bench.run(rows(1)), bench.run(large), bench.run(rows(2)))

    assert [len(sums) for sums in found] == [1, MAX_BATCH + 10, 1]
    assert bench.live.batches == 3


async def test_a_row_that_the_model_cannot_take_fails_its_request_alone() -> None:
    """Neighbours in the batch get their answers."""
    bench = Bench()

    found = await asyncio.gather(
        bench.run(rows(1)), bench.run(rows(POISON)), bench.run(rows(2)), return_exceptions=True
    )

    assert (found[0], found[2]) == ([1], [2])
    assert isinstance(found[1], PermanentError)
    assert bench.live.waiting == bench.live.given_waiting == 0


async def test_the_same_rows_asked_for_together_are_computed_once() -> None:
    """Where their content names them."""
    bench = Bench()

    found = await asyncio.gather(*(bench.run(rows(7, name="seven")) for _ in range(5)))

    assert found == [[7]] * 5
    assert bench.live.rows == 1


async def test_a_caller_who_leaves_takes_nobody_along() -> None:
    """The flight goes on for those who stay."""
    bench = Bench()
    leaving = bench.live.run(bench.rig.predictor, rows(7, name="seven"))
    staying = asyncio.ensure_future(bench.run(rows(7, name="seven")))

    leaving.cancel()

    assert await staying == [7]


async def test_rows_that_wait_are_bounded_and_leave_room_for_keys() -> None:
    """Half of what may wait; a key is still taken."""
    bench = Bench(max_waiting=10)
    first = bench.live.run(bench.rig.predictor, rows(1, 2, 3, 4, 5))

    with pytest.raises(Overloaded, match="5 given rows are waiting"):
        bench.live.run(bench.rig.predictor, rows(7))
    key = bench.live.predict(bench.rig.predictor, [bench.rig.ask().key])

    assert not isinstance((await key)[0], Exception)
    assert not isinstance((await first)[0], Exception)
    assert bench.live.waiting == bench.live.given_waiting == 0


async def test_closing_waits_for_them() -> None:
    """What was asked for in the same turn is finished."""
    bench = Bench()
    wait = bench.live.run(bench.rig.predictor, rows(1))

    await bench.live.close()

    assert wait.done()


async def test_a_bug_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error reaches the caller."""
    bench = Bench()
    monkeypatch.setattr("edge.tensor_lane.run_together", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        await bench.run(rows(1))

    assert bench.live.waiting == bench.live.given_waiting == 0


async def test_rows_of_different_shapes_go_apart() -> None:
    """A model may leave a size open, a run cannot."""
    session = Session.load(onnx_models.open_width())
    bench = Bench()
    servable = Servable(bench.rig.servable.model, "default", 1, session, default_rules(session.signature))
    predictor = Predictor.__new__(Predictor)
    predictor.servable = servable

    async def total(width: int) -> float:
        given = GivenRows(str(next(NAMES)), {"x": np.ones((1, width), np.float32)}, 1)
        (outcome,) = await bench.live.run(predictor, given)
        assert not isinstance(outcome, Exception)
        return float(outcome["sum"][0])

    assert await asyncio.gather(*map(total, (2, 2, 3, 2))) == [2, 2, 3, 2]
    assert bench.live.batches == 3


class TestWhereTheyAreComputed:
    """Strangers' rows begin in a thread, and come to the event loop when they are known to be cheap."""

    @pytest.fixture
    def bench(self, monkeypatch: pytest.MonkeyPatch) -> Bench:
        """Runs take as many milliseconds as `took_ms` says, by a clock of the test's own."""
        clock = {"s": 0.0}
        self.took_ms = 0.0
        self.threads: list[bool] = []

        def timed(*arguments: Any) -> Any:
            clock["s"] += self.took_ms / 1000
            self.threads.append(threading.current_thread() is not threading.main_thread())
            return run_together(*arguments)

        monkeypatch.setattr("edge.tensor_lane.run_together", timed)
        monkeypatch.setattr(batch_lane.time, "thread_time", lambda: clock["s"])
        return Bench()

    async def test_the_first_goes_to_a_thread_and_the_next_need_not(self, bench: Bench) -> None:
        """Of a model that proves to be fast."""
        for _ in range(3):
            await bench.run(rows(1, 2))

        assert self.threads == [True, False, False]

    async def test_a_larger_one_is_judged_by_its_elements(self, bench: Bench) -> None:
        """0.1 ms for three elements are more than a millisecond for three hundred."""
        self.took_ms = 0.1
        for number in (1, 1, 100):
            await bench.run(rows(*range(number)))

        assert self.threads == [True, False, True]

    async def test_a_slow_one_stays_in_a_thread(self, bench: Bench) -> None:
        """Others are answered meanwhile."""
        self.took_ms = 20.0
        for _ in range(2):
            await bench.run(rows(1))

        assert self.threads == [True, True]
        assert bench.live.in_threads == 2
