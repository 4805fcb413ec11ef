"""Versions loaded into a bounded memory."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from edge import loads as loads_module
from edge.loads import Build, Loads
from edge.runs import Runs
from edge.sleeper import Sleeper, estimated_bytes
from precompute.errors import ModelRejected, StoreUnavailable
from precompute.predictor import Predictor
from precompute.registry import Version
from tests.unit.edge.rig import Rig
from tests.waiting import until

SIZE = 100_000
ONE = estimated_bytes(SIZE)


@pytest.fixture(autouse=True)
def _nothing_else_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads_module, "resident_bytes", lambda: 0)


class Scene:
    """Sleepers of the rig's model; files are made up, and building one waits at a gate."""

    def __init__(self, count: int, room: float) -> None:
        self.rig = Rig()
        self.now_s = 0.0
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.threads = 0
        self.sleepers: list[Sleeper] = []
        self.loads = Loads(self.fetch, lambda: self.sleepers, int(room * ONE), lambda: self.now_s)
        begin = partial(self.loads.begin, urgent=True)
        for n in range(count):
            record = Version(n + 1, "default", "", SIZE, 0)
            model = self.rig.servable.model
            self.sleepers.append(Sleeper(self.rig.project, record, model, begin, Runs(), lambda: self.now_s))

    async def fetch(self, _: Sleeper) -> Build:
        await asyncio.sleep(0)

        def build() -> Predictor:
            self.threads += 1
            self.gate.wait(10.0)
            if self.error is not None:
                raise self.error
            return self.rig.predictor

        return build

    def awake(self) -> list[int]:
        """Positions of those that are loaded."""
        return [n for n, sleeper in enumerate(self.sleepers) if sleeper.awake is not None]

    async def load(self, *positions: int, urgent: bool = True) -> None:
        """Loads some, one after the other."""
        for n in positions:
            await self.loads.begin(self.sleepers[n], urgent=urgent)
            # As if it had been measured to take what it was reckoned to, and as long as all others.
            self.sleepers[n].loaded_bytes, self.sleepers[n].load_s = ONE, 0.1


async def test_the_least_needed_makes_room() -> None:
    """Of those that are loaded, and nobody waits for."""
    scene = Scene(4, room=3)
    await scene.load(0, 1, 2)
    for n, uses in ((0, 5), (1, 1), (2, 9)):
        scene.sleepers[n].use(uses)

    await scene.load(3)

    assert scene.awake() == [0, 2, 3]
    assert (scene.loads.loaded, scene.loads.let_go) == (4, 1)
    assert scene.loads.bytes <= scene.loads.max_bytes


async def test_what_is_kept_ready_takes_only_what_is_free() -> None:
    """And is no failure."""
    scene = Scene(2, room=1)
    await scene.load(0)

    await scene.load(1, urgent=False)

    assert scene.awake() == [0]
    assert scene.loads.failures == {}


async def test_what_would_never_fit_says_so() -> None:
    """With both numbers, and what to change."""
    scene = Scene(1, room=0.5)

    await scene.load(0)

    assert scene.awake() == []
    (reason,) = scene.loads.failures.values()
    assert "0.6 MiB; model_memory_bytes allows 0.3 MiB" in reason
    assert scene.sleepers[0].is_out()


async def test_what_somebody_waits_for_is_not_let_go_of() -> None:
    """Rather the newcomer is told that there is no room."""
    scene = Scene(2, room=1)
    await scene.load(0)
    scene.sleepers[0].wanted = True

    await scene.load(1)

    assert scene.awake() == [0]
    assert "all of that is in use" in scene.loads.failures["score", 2]


async def test_loads_take_turns_and_share_one() -> None:
    """One at a time; whoever asks for what is being loaded gets the same load."""
    scene = Scene(5, room=9)
    scene.gate.clear()
    tasks = [scene.loads.begin(sleeper) for sleeper in scene.sleepers]
    again = [scene.loads.begin(sleeper) for sleeper in scene.sleepers]

    async def one() -> bool:
        return scene.threads == 1

    await until(one)
    await asyncio.sleep(0.05)
    assert scene.threads == 1
    scene.gate.set()
    await asyncio.gather(*tasks)

    assert tasks == again
    assert len(scene.awake()) == 5


async def test_a_long_load_gives_up_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that large models keep nobody else waiting."""
    monkeypatch.setattr(loads_module, "_TURN_S", 0.01)
    scene = Scene(3, room=9)
    scene.gate.clear()
    tasks = [scene.loads.begin(sleeper) for sleeper in scene.sleepers]

    async def all_three() -> bool:
        return scene.threads == 3

    await until(all_three)
    scene.gate.set()
    await asyncio.gather(*tasks)


async def test_a_load_without_end_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs its thread, and is not tried again."""
    monkeypatch.setattr(loads_module, "_TURN_S", 0.01)
    monkeypatch.setattr(loads_module, "LIMIT_S", 0.02)
    scene = Scene(1, room=9)
    scene.gate.clear()

    await scene.load(0)

    assert scene.sleepers[0].ended
    assert "did not end" in scene.loads.failures["score", 1]
    assert scene.loads.bytes == 0
    scene.gate.set()


@pytest.mark.parametrize(
    ("error", "urgent", "known"),
    [
        (ModelRejected("broken"), True, True),
        (ModelRejected("broken"), False, True),
        (StoreUnavailable("away"), True, True),
        (StoreUnavailable("away"), False, False),
    ],
)
async def test_a_failure_is_known_if_it_matters(error: Exception, urgent: bool, known: bool) -> None:
    """What is only kept ready may be tried again, unless that is of no use; nothing stays reserved."""
    scene = Scene(1, room=9)
    scene.error = error

    await scene.load(0, urgent=urgent)

    assert (("score", 1) in scene.loads.failures) is known
    assert scene.sleepers[0].is_out() is known
    assert scene.loads.bytes == 0


async def test_somebody_who_waits_does_not_stand_behind_what_is_kept_ready() -> None:
    """The patient load is given up for an urgent one, as long as it has not begun."""
    scene = Scene(2, room=9)
    scene.gate.clear()
    first = scene.loads.begin(scene.sleepers[0], urgent=False)
    patient = scene.loads.begin(scene.sleepers[1], urgent=False)

    async def begun() -> bool:
        return scene.threads == 1

    await until(begun)
    urgent = scene.loads.begin(scene.sleepers[1], urgent=True)

    async def both() -> bool:
        return scene.threads == 2

    await until(both)
    scene.gate.set()
    await asyncio.gather(first, urgent)
    assert patient.cancelled()
    assert scene.awake() == [0, 1]


async def test_a_stop_leaves_off() -> None:
    """Whatever is under way."""
    scene = Scene(1, room=9)
    scene.gate.clear()
    task = scene.loads.begin(scene.sleepers[0])

    await scene.loads.stop()

    assert task.cancelled()
    scene.gate.set()
