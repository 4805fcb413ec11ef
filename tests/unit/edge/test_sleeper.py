"""A version that can be asked for whether it is loaded or not."""

from __future__ import annotations

import asyncio

import pytest

from edge.breaker import FIRST_S
from edge.runs import Runs
from edge.sleeper import HALF_LIFE_S, Sleeper, estimated_bytes
from precompute.errors import ModelFailed, ModelUnavailable
from precompute.predictor import Batch, Predictor
from precompute.registry import Version
from tests.unit.edge.rig import POISON, Rig


class Scene:
    """A sleeper of the rig's model; loads end when they are told to."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.now_s = 100.0
        self.loads: list[asyncio.Future[None]] = []
        record = Version(1, "default", "", 1000, 0)
        model = self.rig.servable.model
        self.sleeper = Sleeper(self.rig.project, record, model, self.begin, Runs(), lambda: self.now_s)

    def begin(self, _: Sleeper) -> asyncio.Future[None]:
        """As `Loads.begin`."""
        if not self.loads or self.loads[-1].done():
            self.loads.append(asyncio.get_running_loop().create_future())
        return self.loads[-1]

    def wake(self) -> None:
        """The load has ended well."""
        self.sleeper.wake(self.rig.predictor, 0.5, 12_345)
        if self.loads and not self.loads[-1].done():
            self.loads[-1].set_result(None)

    async def computed(self, *keys: str) -> Batch:
        """What live inference would do."""
        plan = self.sleeper.plan([self.rig.servable.model.parse_key(key) for key in keys])
        return self.sleeper.complete(plan, await self.rig.replica.run(plan.commands), self.rig.now_ms)

    def poison(self, *places: str) -> None:
        """Rows with which the model fails."""
        for place in places:
            self.rig.replica.put("place", place, 0, w=POISON)


async def test_live_answers_wait_for_the_load_and_share_it() -> None:
    """As if nothing had been; the key that asked is computed."""
    scene = Scene()
    ask = scene.rig.ask().key
    first, second = (scene.rig.ladder.live.predict(scene.sleeper, [ask]) for _ in range(2))
    await asyncio.sleep(0)
    assert not first.done()

    scene.wake()

    (held,) = await first
    assert not isinstance(held, Exception)
    assert held is (await second)[0]
    assert len(scene.loads) == 1
    assert held.servable is scene.sleeper.servable


async def test_a_load_that_brings_nothing_is_an_error_for_those_who_waited() -> None:
    """Not a wait without end."""
    scene = Scene()
    flight = scene.rig.ladder.live.predict(scene.sleeper, [scene.rig.ask().key])
    await asyncio.sleep(0)

    scene.loads[-1].set_result(None)

    (outcome,) = await flight
    assert isinstance(outcome, ModelUnavailable)
    assert not scene.sleeper.wanted


async def test_a_batch_that_was_planned_is_carried_out() -> None:
    """Even if its model is let go of meanwhile; entries do not keep it."""
    scene = Scene()
    scene.wake()
    plan = scene.sleeper.plan([scene.rig.ask().key])
    let_go: Predictor | None = scene.sleeper.sleep()

    batch = scene.sleeper.complete(plan, await scene.rig.replica.run(plan.commands), scene.rig.now_ms)

    assert let_go is scene.rig.predictor
    assert isinstance(batch.bodies[0], bytes)
    assert scene.sleeper.awake is None


def test_what_it_takes_is_reckoned_and_then_known() -> None:
    """Before it was ever loaded its file is all there is to go by."""
    scene = Scene()
    before = scene.sleeper.loaded_bytes

    scene.wake()
    scene.sleeper.sleep()

    assert (before, scene.sleeper.loaded_bytes) == (estimated_bytes(1000), 12_345)
    assert scene.sleeper.servable.rules == scene.rig.servable.rules


def test_uses_fade() -> None:
    """A model that was busy an hour ago is idle."""
    scene = Scene()
    scene.sleeper.use(100)

    assert scene.sleeper.uses(scene.now_s + HALF_LIFE_S) == pytest.approx(50)
    assert scene.sleeper.uses(scene.now_s + 3600) < 1e-15


async def test_a_model_that_fails_for_different_keys_is_taken_out_and_tried_again() -> None:
    """It is not even loaded meanwhile; a trial that brings a prediction ends it."""
    scene = Scene()
    scene.wake()
    scene.poison("p1", "p2", "p3", "p4", "p5")
    for n in range(1, 6):
        batch = await scene.computed(f"a:p{n}")
        assert isinstance(batch.bodies[0], ModelFailed)

    assert scene.sleeper.is_out()
    with pytest.raises(ModelUnavailable, match="taken out for 2 s more: the model failed"):
        scene.sleeper.plan([scene.rig.ask().key])
    scene.sleeper.sleep()
    assert scene.sleeper.loading() is None
    scene.now_s += FIRST_S
    scene.wake()
    await scene.computed("a:p")

    assert not scene.sleeper.is_out()
    assert scene.sleeper.breaker.reason == ""


async def test_rows_that_the_model_refuses_are_not_its_end() -> None:
    """As long as others of the same batch are computed, or rows are missing altogether."""
    scene = Scene()
    scene.wake()
    scene.poison(*[f"p{n}" for n in range(8)])
    await scene.computed(*[f"a:p{n}" for n in range(8)], "a:p")
    for n in range(8):
        await scene.computed(f"nobody{n}:p")

    assert not scene.sleeper.is_out()


def test_one_whose_load_hangs_is_left_alone() -> None:
    """Each try would cost a thread."""
    scene = Scene()
    scene.sleeper.ended = "loading it did not end"

    assert scene.sleeper.loading() is None
    with pytest.raises(ModelUnavailable):
        scene.sleeper.plan([])
