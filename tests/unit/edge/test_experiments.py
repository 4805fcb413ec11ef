"""Which experiments run at an edge, and what they make of requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from edge.experiments import Experiments
from edge.exposures import Exposures
from precompute.errors import StoreUnavailable
from precompute.manifest import parse
from precompute.updates import Command, Reply
from tests.unit.edge.test_write_back import FakePrimary
from tests.waiting import until

PROJECT = parse(
    """
[project]
name = "shop"
[views.item.fields]
price = "float32"
[models.rank]
key = ["item", "user"]
views = { item = "{item}" }
inputs = { x = ["item.price"] }
variants = { default = {}, fast = {} }
"""
)
MODEL = PROJECT.model("rank")
TABLE = {"model": "rank", "unit": "key.user", "arms": {"a": {"variant": "default"}, "b": {"version": 7}}}


class Servable:
    def __init__(self, version: int) -> None:
        self.version = version


class Arm:
    """What answers."""

    def __init__(self, version: int) -> None:
        self.servable = Servable(version)
        self.has_failed = False

    def is_out(self) -> bool:
        return self.has_failed


class World:
    """A replica with experiments, and what serves; both change when the test says so."""

    def __init__(self, **tables: dict[str, Any]) -> None:
        self.project = PROJECT
        self.tables = tables
        self.error: Exception | None = None
        self.now_ms = 0
        self.generation = 0
        self.serving: dict[str | int, Arm] = {"default": Arm(1), 7: Arm(7)}
        self.looked = 0
        self.told: tuple[frozenset[str], frozenset[tuple[str, int]]] = frozenset(), frozenset()
        self.primary = FakePrimary()
        exposures = Exposures(self.primary, max_waiting=100, kept=100)  # type: ignore[arg-type]
        self.experiments = Experiments(self, self, exposures, lambda: self.now_ms)  # type: ignore[arg-type]

    async def run(self, _: Sequence[Command]) -> list[Reply]:
        self.looked += 1
        if self.error is not None:
            raise self.error
        items = self.tables.items()
        return [[part for name, table in items for part in (name.encode(), json.dumps(table).encode())]]

    def arm(self, model: str, variant: str | None, version: int | None) -> Arm | None:
        return self.serving.get(variant or version or 0)

    def experiment_on(self, models: frozenset[str], versions: frozenset[tuple[str, int]]) -> None:
        self.told = models, versions

    def dealt(self, key: str = "i:u", query: dict[str, str] | None = None) -> str | None:
        """Arm and version."""
        found = self.experiments.deal("rank", MODEL.parse_key(key), (), query or {})
        return None if found is None else f"{found.assigned.arm.name}{found.predictor.servable.version}"

    def both(self) -> set[str | None]:
        """What 40 users get."""
        return {self.dealt(f"i:u{n}") for n in range(40)}


def stored(added_ms: int = 1, **more: Any) -> dict[str, Any]:
    """As it stands in Redis."""
    return {"table": {**TABLE, **more}, "added_ms": added_ms}


async def test_requests_are_dealt_to_what_serves_the_arms() -> None:
    """And serving is told which models and versions are needed."""
    world = World(x=stored())

    assert world.dealt() is None
    await world.experiments.refresh()

    assert world.both() == {"a1", "b7"}
    assert world.told == ({"rank"}, {("rank", 7)})
    assert world.experiments.running == 1


async def test_nobody_takes_part_while_an_arm_cannot_answer() -> None:
    """Not even those of the other arm; they are counted."""
    world = World(x=stored())
    del world.serving[7]
    await world.experiments.refresh()

    assert world.both() == {None}
    assert world.experiments.unready == 40
    world.serving[7] = Arm(7)
    assert world.both() == {"a1", "b7"}


async def test_nobody_takes_part_while_an_arm_is_taken_out() -> None:
    """Half of the users are not to be left with errors; nor are the others to be compared with nobody."""
    world = World(x=stored())
    await world.experiments.refresh()
    assert world.both() == {"a1", "b7"}

    world.serving[7].has_failed = True
    assert world.both() == {None}
    world.serving[7].has_failed = False
    assert world.both() == {"a1", "b7"}


async def test_another_version_answers_as_soon_as_it_serves() -> None:
    """What was found before is looked for again when anything else serves."""
    world = World(x=stored())
    await world.experiments.refresh()
    assert world.both() == {"a1", "b7"}

    world.serving["default"], world.generation = Arm(2), 1

    assert world.both() == {"a2", "b7"}


async def test_experiments_begin_and_end_by_the_clock() -> None:
    """Nobody tells the edge, and nobody need be reachable then."""
    world = World(x=stored(start="1970-01-01T00:00:10Z", end="1970-01-01T00:00:20Z"))
    world.now_ms = 9_990
    await world.experiments.refresh()
    world.experiments.start()

    async def runs() -> bool:
        return bool(world.told[0])

    async def is_over() -> bool:
        return not world.told[0]

    world.error = StoreUnavailable("away")
    assert world.both() == {None}
    world.now_ms = 19_990
    await until(runs)
    assert world.both() == {"a1", "b7"}
    world.now_ms = 20_000
    await until(is_over)
    assert world.both() == {None}
    await world.experiments.stop()


async def test_news_are_taken_in_at_once() -> None:
    """What is broken is told of, and changes nothing for the others."""
    world = World()
    await world.experiments.refresh()
    world.experiments.start()
    await asyncio.sleep(0)

    world.tables = {"x": stored(), "late": stored(2)}
    world.experiments.look()

    async def runs() -> bool:
        return world.experiments.running == 1

    await until(runs)
    assert set(world.experiments.broken) == {"late"}
    await world.experiments.stop()


async def test_a_replica_that_is_away_changes_nothing() -> None:
    """Only the start must know."""
    world = World(x=stored())
    await world.experiments.refresh()
    world.error = StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        await world.experiments.refresh()

    assert world.both() == {"a1", "b7"}


async def test_testers_parameters_are_known_before_and_after() -> None:
    """A parameter that is no context is none either when the experiment does not run."""
    world = World(x=stored(override="query.arm", end="1970-01-01T00:00:20Z"))
    await world.experiments.refresh()
    assert world.dealt(query={"arm": "b"}) == "b7"
    assert world.experiments.parameters("rank") == {"arm"}

    world.now_ms = 30_000
    await world.experiments.refresh()

    assert world.dealt(query={"arm": "b"}) is None
    assert world.experiments.parameters("rank") == {"arm"}
    assert world.experiments.parameters("other") == frozenset()


async def test_keys_that_are_answered_alike_must_be_one_units() -> None:
    """One user's items are; those of two users are not, whatever arms they have."""
    world = World(x=stored())
    await world.experiments.refresh()

    def together(*keys: str) -> bool:
        return world.experiments.deal_all("rank", map(MODEL.parse_key, keys), (), {}) is not None

    assert together("i:u", "j:u", "k:u")
    assert not any(together("i:u", f"j:v{n}") for n in range(10))
    assert not together()


async def test_an_answer_is_recorded_with_its_arm_and_version() -> None:
    """In the experiment's stream."""
    world = World(x=stored())
    await world.experiments.refresh()
    key = MODEL.parse_key("i:u")
    dealt = world.experiments.deal("rank", key, (), {})
    assert dealt is not None

    world.experiments.answered(dealt, key, "memory", 0.001)
    await until(world.primary.was_asked)

    command, stream, *_, record = world.primary.sent[0]
    assert (command, stream) == ("XADD", "experiment:{x}:exposures")
    assert json.loads(str(record, "utf-8"))[1:6] == [  # type: ignore[call-overload]
        dealt.assigned.arm.name,
        "u",
        "i:u",
        dealt.predictor.servable.version,
        "memory",
    ]
