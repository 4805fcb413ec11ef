"""Examples are keys that have an answer: the hottest first, then those that the project names."""

from __future__ import annotations

from collections.abc import Sequence

from edge.openapi.examples import MOST, ExampleKeys
from precompute.errors import StoreUnavailable
from precompute.updates import Command, Reply
from tests.unit.edge.rig import FakeReplica, Rig


class HotReplica:
    """A replica that knows which keys are hot; `error` is what asking it for them fails with."""

    def __init__(self, replica: FakeReplica, hot: Sequence[str]) -> None:
        self.error: Exception | None = None
        self._hot = [key.encode() for key in hot]
        self._replica = replica

    async def run(self, commands: Sequence[Command]) -> list[Reply]:
        if self.error is not None:
            raise self.error
        assert [command[0] for command in commands] == ["ZREVRANGE"] * len(commands)
        return [self._hot for _ in commands]


def _rig(*examples: str, policy: str = "") -> Rig:
    rig = Rig(policy=policy)
    object.__setattr__(rig.servable.model, "examples", examples)
    return rig


async def _found(rig: Rig, replica: HotReplica) -> list[str]:
    keys = await ExampleKeys(rig.ladder, replica).find([rig.predictor])  # type: ignore[arg-type]
    return [key.text for key in keys["score"]]


async def test_hot_keys_come_before_those_that_the_project_names() -> None:
    """None comes twice."""
    rig = _rig("a:p", "b:p")

    assert await _found(rig, HotReplica(rig.replica, ["b:p"])) == ["b:p", "a:p"]


async def test_what_has_no_answer_is_no_example() -> None:
    """Nor what does not fit the declaration any more, nor what only a default would answer."""
    rig = _rig("a:p", "gone:p", policy="default = { sum = 1.0 }")

    assert await _found(rig, HotReplica(rig.replica, ["none:p", "a", "a:p:q"])) == ["a:p"]


async def test_there_are_not_too_many() -> None:
    """Three tell enough."""
    rig = _rig("a:p")
    for name in "cdefg":
        rig.replica.put("thing", name, 0, v=[1.0, 1.0])

    assert len(await _found(rig, HotReplica(rig.replica, [f"{name}:p" for name in "cdefg"]))) == MOST


async def test_without_redis_there_are_fewer_examples_but_no_failure() -> None:
    """What memory has still answers."""
    rig = _rig("a:p", "b:p")
    await rig.answer("a:p")
    rig.fail()
    replica = HotReplica(rig.replica, [])
    replica.error = StoreUnavailable("away")

    assert await _found(rig, replica) == ["a:p"]
