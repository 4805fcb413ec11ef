"""Buckets in time with the clock, written to a primary that may be away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from edge.telemetry import Telemetry, node_name
from precompute.errors import StoreUnavailable
from precompute.settings import Settings
from precompute.snapshot import Snapshot
from precompute.telemetry import Source, entries
from precompute.updates import Command, Reply


class FakePrimary:
    """Takes commands, or is away, or refuses."""

    def __init__(self) -> None:
        self.away = False
        self.refusal: Exception | None = None
        self.taken: list[Command] = []

    def run(self, commands: Sequence[Command]) -> asyncio.Future[list[Reply]]:
        if self.away:
            raise StoreUnavailable("away")
        self.taken += [command for command in commands if command[0] == "XADD"]
        replies: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()
        replies.set_result([self.refusal or b"OK" for _ in commands])
        return replies


class Scene:
    """A process that has counted `requests` and lags by `lag_s`, at a time that stands still."""

    def __init__(self) -> None:
        self.primary = FakePrimary()
        self.now_ms, self.requests, self.lag_s = 60_000, 0, 0.0
        self.telemetry = Telemetry(
            self.primary,  # type: ignore[arg-type]
            Source("here", 0),
            lambda: Snapshot(counters={"requests": self.requests}, sums={"entries": 7}),
            lambda: {"lag": self.lag_s},
            lambda: self.now_ms,
        )

    async def look_at(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.telemetry.look(now_ms)
        await asyncio.sleep(0)

    def written(self, width: str) -> list[tuple[str, Snapshot]]:
        """Ids and what was said."""
        records = [(str(it[5]).encode(), it[6:]) for it in self.primary.taken if it[1] == f"stats:{width}:here:0"]
        return [(name, entry.counted) for name, entry in entries(records) if entry]


@pytest.fixture
async def scene() -> Scene:
    """One that has begun."""
    made = Scene()
    made.telemetry.start()
    return made


async def test_each_bucket_says_what_came_in_it(scene: Scene) -> None:
    """Once, whenever the process gets to look after its end; what is there now is not said."""
    scene.requests = 3
    await scene.look_at(64_999)
    await scene.look_at(65_001)
    scene.requests = 10
    await scene.look_at(70_300)

    written = scene.written("5s")

    assert [(name, it.counters) for name, it in written] == [
        ("60000-5001", {"requests": 3}),
        ("65000-5300", {"requests": 7}),
    ]
    assert all(not it.sums for _, it in written)


async def test_minutes_say_all_of_it_again(scene: Scene) -> None:
    """For ranges that are longer than the fine buckets are kept."""
    for now_ms in range(65_000, 120_001, 5_000):
        scene.requests += 1
        await scene.look_at(now_ms)

    assert [(name, it.counters) for name, it in scene.written("1m")] == [("60000-60000", {"requests": 12})]
    assert len(scene.written("5s")) == 12


async def test_the_worst_lag_of_a_bucket_is_said(scene: Scene) -> None:
    """Not that of the moment at which it ends."""
    for now_ms, lag_s in ((61_000, 0.1), (62_000, 3.0), (63_000, 0.2), (65_000, 0.0)):
        scene.lag_s = lag_s
        await scene.look_at(now_ms)

    assert [it.peaks for _, it in scene.written("5s")] == [{"lag": 3.0}]


async def test_a_primary_that_is_away_leaves_a_gap(scene: Scene) -> None:
    """It is counted, and what it missed is not told later, as if it had happened then."""
    scene.requests, scene.primary.away = 5, True
    await scene.look_at(65_000)
    scene.requests, scene.primary.away = 6, False
    await scene.look_at(70_000)

    assert [(name, it.counters) for name, it in scene.written("5s")] == [("65000-5000", {"requests": 1})]
    assert (scene.telemetry.written, scene.telemetry.dropped) == (1, 1)


async def test_a_refusal_is_counted(scene: Scene) -> None:
    """As of a primary that has become a replica, or is out of memory."""
    scene.primary.refusal = StoreUnavailable("READONLY")

    await scene.look_at(65_000)

    assert (scene.telemetry.written, scene.telemetry.dropped) == (0, 1)


async def test_the_end_says_what_is_left(scene: Scene) -> None:
    """In the bucket that it falls in; the process that takes our place adds to it."""
    scene.requests, scene.now_ms = 4, 62_500

    await scene.telemetry.stop()

    assert [(name, it.counters) for name, it in scene.written("5s")] == [("60000-2500", {"requests": 4})]
    assert [(name, it.counters) for name, it in scene.written("1m")] == [("60000-2500", {"requests": 4})]


async def test_one_that_never_began_says_nothing() -> None:
    """Telemetry may be turned off."""
    scene = Scene()

    await scene.telemetry.stop()

    assert scene.primary.taken == []


def test_a_node_is_named_by_its_host_and_port() -> None:
    """Unless somebody has named it: `127.0.0.1` would be the name of every one."""
    assert node_name(Settings(edge_name="fra-1"), 8300) == "fra-1"
    assert node_name(Settings(), 8300).endswith(":8300")
    assert not node_name(Settings(), 8300).startswith("127.")
