"""Single flight and micro-batches."""

from __future__ import annotations

import asyncio
import threading

import pytest

from edge import batch_lane
from edge.batch_lane import MAX_BATCH
from edge.live import INLINE_S, MAX_UNDER_WAY, Live
from precompute.entry import Entry
from precompute.errors import FeatureMissing, Overloaded, PermanentError, StoreUnavailable
from precompute.models import Key
from precompute.predictor import Batch, Plan, Predictor
from precompute.updates import Reply
from tests.unit.edge.rig import POISON, Rig


class Bench:
    """Live inference alone, over things t0, t1, ... at place p."""

    def __init__(self, things: int = 300, max_waiting: int = 1000) -> None:
        self.rig = Rig(max_waiting=max_waiting)
        for i in range(things):
            self.rig.replica.put("thing", f"t{i}", 0, v=[float(i), 0.0])
        self.landed: list[int] = []
        self.live: Live[Entry] = Live(
            self.rig.replica,  # type: ignore[arg-type]
            self._land,
            lambda: self.rig.now_ms,
            max_waiting=max_waiting,
        )

    def _land(self, _: Predictor, batch: Batch) -> list[Entry | PermanentError]:
        self.landed.append(len(batch.keys))
        return [b if isinstance(b, PermanentError) else batch.entry(i) for i, b in enumerate(batch.bodies)]

    def key(self, i: int) -> Key:
        return self.rig.servable.model.parse_key(f"t{i}:p")

    def predict(self, *things: int) -> list[asyncio.Task[Entry]]:
        """Callers of one turn of the loop, who ask for a thing each."""
        return [asyncio.ensure_future(_landed(wait)) for wait in self.waits(*things)]

    def waits(self, *things: int) -> list[asyncio.Future[list[Entry | Exception]]]:
        """What such callers wait for."""
        return [self.live.predict(self.rig.predictor, [self.key(i)]) for i in things]


async def _landed(wait: asyncio.Future[list[Entry | Exception]]) -> Entry:
    (outcome,) = await wait
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def test_a_hundred_callers_of_one_key_cost_one_row() -> None:
    """They share one flight, its read and its result."""
    bench = Bench()

    entries = await asyncio.gather(*bench.predict(*[7] * 100))

    assert (bench.live.rows, bench.live.batches, len(bench.rig.replica.runs)) == (1, 1, 1)
    assert all(entry is entries[0] for entry in entries)


async def test_what_is_gathered_already_is_read_for_at_once() -> None:
    """All keys together, and before the turn is over."""
    bench = Bench()

    landing = bench.live.predict(bench.rig.predictor, [bench.key(i) for i in range(5)], at_once=True)

    assert len(bench.rig.replica.runs) == 1
    assert len(await landing) == 5
    assert (bench.live.rows, bench.live.batches) == (5, 1)


async def test_keys_of_one_turn_are_one_batch() -> None:
    """One read and one run of the model, and each key gets its own answer."""
    bench = Bench()

    entries = await asyncio.gather(*bench.predict(*range(50)))

    assert (bench.live.rows, bench.live.batches) == (50, 1)
    assert all(b'"sum":%d.0' % (i + 10) in entry.body for i, entry in enumerate(entries))


async def test_a_batch_grows_while_others_are_under_way() -> None:
    """Nobody waits for a timer: what arrives while two batches are under way becomes the next one."""
    bench = Bench()
    bench.rig.replica.gate.clear()
    flights = []
    for i in range(20):
        flights += bench.predict(i)
        await asyncio.sleep(0)

    bench.rig.replica.gate.set()
    await asyncio.gather(*flights)

    assert bench.landed == [1, 1, 18]


async def test_a_batch_has_a_limit_and_the_rest_goes_at_once() -> None:
    """Three hundred misses of one turn are two batches, the second read while the first is computed."""
    bench = Bench()
    bench.rig.replica.gate.clear()

    flights = bench.predict(*range(300))
    await bench.rig.replica.asked(MAX_UNDER_WAY)
    bench.rig.replica.gate.set()
    await asyncio.gather(*flights)

    assert sorted(bench.landed) == [300 - MAX_BATCH, MAX_BATCH]


async def test_a_flight_outlives_all_who_waited_for_it() -> None:
    """Cancelled callers cancel nothing but their waits, and whoever comes later gets the result."""
    bench = Bench()
    bench.rig.replica.gate.clear()
    for wait in bench.waits(1, 1, 1):
        wait.cancel()
    await asyncio.sleep(0)

    (again,) = bench.predict(1)
    bench.rig.replica.gate.set()

    assert b'"sum":11.0' in (await again).body
    assert bench.live.rows == 1


async def test_waiting_keys_are_bounded() -> None:
    """One more key is refused; one more caller for a key that is waiting costs nothing and is not."""
    bench = Bench(max_waiting=10)
    bench.rig.replica.gate.clear()
    flights = bench.predict(*range(10))

    with pytest.raises(Overloaded, match="10 keys are waiting"):
        await bench.predict(10)[0]
    joined = bench.predict(3)

    bench.rig.replica.gate.set()
    entries = await asyncio.gather(*flights, *joined)
    assert entries[10] is entries[3]
    assert bench.live.waiting == 0


async def test_a_key_without_a_row_fails_alone() -> None:
    """Its neighbours in the batch get their answers."""
    bench = Bench(things=3)

    results = await asyncio.gather(*bench.predict(0, 99, 2), return_exceptions=True)

    assert isinstance(results[1], FeatureMissing)
    assert isinstance(results[0], Entry)
    assert isinstance(results[2], Entry)


async def test_a_row_that_the_model_cannot_take_fails_alone() -> None:
    """The model fails for the whole batch; only the poisonous row is to blame."""
    bench = Bench()
    bench.rig.replica.put("place", "bad", 0, w=POISON)
    keys = [bench.key(0), bench.rig.servable.model.parse_key("t1:bad"), bench.key(2)]

    results = await bench.live.predict(bench.rig.predictor, keys)

    assert isinstance(results[1], PermanentError)
    assert b'"sum":10.0' in results[0].body  # type: ignore[union-attr]
    assert b'"sum":12.0' in results[2].body  # type: ignore[union-attr]


async def test_a_failed_read_fails_its_batch_and_no_other() -> None:
    """Everybody who waits is told, and the next ask tries again."""
    bench = Bench()
    bench.rig.fail()
    failed = await asyncio.gather(*bench.predict(1, 2), return_exceptions=True)
    bench.rig.replica.error = None

    (entry,) = await asyncio.gather(*bench.predict(1))

    assert all(isinstance(error, StoreUnavailable) for error in failed)
    assert b'"sum":11.0' in entry.body
    assert bench.live.waiting == 0


async def test_a_bug_while_a_batch_lands_leaves_nobody_waiting() -> None:
    """An unexpected error reaches the callers instead of a wait without end."""
    bench = Bench()
    bench.live._on_batch = _broken  # type: ignore[assignment]

    results = await asyncio.gather(*bench.predict(1), return_exceptions=True)

    assert isinstance(results[0], ZeroDivisionError)
    assert bench.live.waiting == 0


async def test_closing_waits_for_what_has_not_even_begun() -> None:
    """A flight that was asked for in the same turn is finished, too."""
    bench = Bench()
    (wait,) = bench.waits(1)

    await bench.live.close()

    assert wait.done()


async def test_a_new_version_leaves_no_lane_of_the_old_one_behind() -> None:
    """A version that is no longer asked for can be freed, with its model."""
    bench = Bench()
    await asyncio.gather(*bench.predict(1))
    newer = Predictor(bench.rig.project, bench.rig.servable, bench.rig.predictor._layouts)

    await bench.live.predict(newer, [bench.key(1)])

    assert list(bench.live._lanes) == [newer]


class TestWhereABatchIsComputed:
    """Inline while it is expected to hold the event loop for a millisecond at most, else in a thread."""

    @pytest.fixture
    def bench(self, monkeypatch: pytest.MonkeyPatch) -> Bench:
        """A model whose runs take as many milliseconds as `took_ms` says, by a clock of the test's own."""
        bench = Bench()
        clock = {"s": 0.0}
        self.took_ms = 0.0
        self.threads: list[bool] = []
        complete = bench.rig.predictor.complete

        def timed(plan: Plan, replies: list[Reply], now_ms: int) -> Batch:
            clock["s"] += self.took_ms / 1000
            self.threads.append(threading.current_thread() is not threading.main_thread())
            return complete(plan, replies, now_ms)

        monkeypatch.setattr(bench.rig.predictor, "complete", timed)
        monkeypatch.setattr(batch_lane.time, "thread_time", lambda: clock["s"])
        return bench

    async def run(self, bench: Bench, rows: int, took_ms: float) -> None:
        self.took_ms = took_ms
        await asyncio.gather(*bench.predict(*range(rows)))

    async def test_a_fast_model_stays_inline(self, bench: Bench) -> None:
        """A hand-over would cost more than the run."""
        for _ in range(3):
            await self.run(bench, 4, took_ms=0.9)

        assert self.threads == [False, False, False]

    async def test_a_slow_one_moves_to_a_thread_after_its_first_run(self, bench: Bench) -> None:
        """Others are answered meanwhile."""
        for _ in range(3):
            await self.run(bench, 4, took_ms=20.0)

        assert self.threads == [False, True, True]
        assert bench.live.in_threads == 2

    async def test_it_comes_back_when_it_has_become_fast(self, bench: Bench) -> None:
        """One slow run is not held against a model for ever."""
        await self.run(bench, 4, took_ms=2.0)
        for _ in range(10):
            await self.run(bench, 4, took_ms=0.1)

        assert self.threads[1] is True
        assert self.threads[-1] is False

    async def test_a_size_never_seen_is_judged_by_the_next_smaller_one(self, bench: Bench) -> None:
        """A first large batch of a model known by single rows must not hold up the loop for their sum."""
        await self.run(bench, 1, took_ms=0.1)
        await self.run(bench, 3, took_ms=0.1)
        await self.run(bench, 200, took_ms=10.0)

        assert self.threads == [False, False, True]

    async def test_sizes_are_judged_apart(self, bench: Bench) -> None:
        """A tree model may be slow for many rows and fast for one."""
        await self.run(bench, 1, took_ms=0.1)
        for _ in range(2):
            await self.run(bench, 200, took_ms=10.0)
        await self.run(bench, 1, took_ms=0.1)

        assert self.threads == [False, True, True, False]
        assert INLINE_S == 0.001


def _broken(*_: object) -> None:
    raise ZeroDivisionError
