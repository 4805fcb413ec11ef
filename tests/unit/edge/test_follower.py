"""The follower's two loops, against logs that live in a dict; what the logs mean is tested with `log_reading`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from edge.follower import Follower
from edge.lag import TURN_S
from precompute.errors import StoreUnavailable
from precompute.keys import REGISTRY_LOG
from precompute.updates import Command, Reply
from tests.fake_logs import Log, LogServer
from tests.waiting import until

A, B = 0xAAAA0001, 0xBBBB0002


class FakeLink:
    """A connection to a server in a dict; a read that waits, waits until there is news or `open_gate` is called."""

    def __init__(self, server: LogServer) -> None:
        self.server = server
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.asked = 0

    def open_gate(self) -> None:
        self.gate.set()

    async def run(self, commands: Sequence[Command]) -> list[Reply]:
        self.asked += 1
        while len(commands) > 1 and self._waits(commands[1]):  # noqa: ASYNC110  (news have no event)
            await asyncio.sleep(0)
        self.gate.clear()
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return [self.server.reply(command) for command in commands]

    def _waits(self, read: Command) -> bool:
        idle = "BLOCK" in read and self.server.reply(read) is None
        return idle and not self.gate.is_set() and self.error is None


class Scene:
    """A follower of two views."""

    def __init__(self) -> None:
        self.server = LogServer("thing", "place", epoch=A)
        self.server.logs[REGISTRY_LOG] = Log()
        self.server.heartbeat = b"1234"
        self.link, self.other = FakeLink(self.server), FakeLink(self.server)
        self.news = 0
        self.follower = Follower(self.link, ["thing", "place"], self._hear, watch=self.other)  # type: ignore[arg-type]
        self.freshness = self.follower.freshness

    def _hear(self) -> None:
        self.news += 1

    def last_change(self, entity: str) -> int:
        table = self.freshness.tables["thing"]
        return table.last_change(table.slot(entity)) >> 20


@asynccontextmanager
async def following() -> AsyncIterator[Scene]:
    """A follower that has read one change of `a`."""
    scene = Scene()
    scene.server.change("thing", 1000, "a")
    scene.follower.start()
    await scene.follower.caught_up()
    yield scene
    await scene.follower.stop()


async def test_nothing_counts_as_known_before_it_has_begun() -> None:
    """An edge that has just started must not call anything fresh."""
    scene = Scene()

    assert scene.freshness.epoch is None
    assert scene.follower.lag_s() == float("inf")


async def test_it_catches_up_and_tells_where_it_stands() -> None:
    """Tables, lag and heartbeat are known once the logs have been read."""
    async with following() as scene:
        await until(lambda: _true(scene.follower.lag_s() == 0.0))

        assert (scene.freshness.epoch, scene.last_change("a")) == (A, 1000)
        assert (scene.follower.heartbeat_ms, scene.follower.records, scene.follower.restarts) == (1234, 1, 1)


async def test_it_notes_what_changes_and_tells_of_the_registry() -> None:
    """News of any log wake it; a publish is somebody else's business."""
    async with following() as scene:
        before = scene.news
        scene.server.change("thing", 5000, "a")
        await until(lambda: _true(scene.last_change("a") == 5000))
        between = scene.news
        scene.server.logs[REGISTRY_LOG].add(b"1-0", b"whatever")

        await until(lambda: _true(scene.news == between + 1))

        assert between == before


@pytest.mark.parametrize("error", [StoreUnavailable("away"), ZeroDivisionError("a bug")], ids=["away", "bug"])
async def test_it_follows_on_after_any_failure(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """A follower that ended would leave the tables as they were, and what changes later would stay fresh for ever."""
    async with following() as scene:
        scene.link.error = error
        await until(lambda: _true(bool(caplog.records)))
        scene.server.change("thing", 2000, "a")
        scene.link.error = None

        await until(lambda: _true(scene.last_change("a") == 2000 and scene.freshness.epoch == A))

    assert str(error) in caplog.text


async def test_silence_counts_as_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica that does not answer may be any distance behind."""
    async with following() as scene:
        scene.link.error = scene.other.error = StoreUnavailable("away")
        await until(lambda: _true(scene.follower.lag_s() > 0.0), timeout_s=TURN_S + 10)

        assert scene.freshness.epoch == A


async def test_another_history_is_noticed_while_it_waits_for_news() -> None:
    """The wait may outlast a failover: whoever looks more often takes the tables' word away at once."""
    async with following() as scene:
        asked = scene.link.asked
        scene.server.epoch = B

        await until(lambda: _true(scene.freshness.epoch is None))
        still_waiting = scene.link.asked == asked
        scene.link.open_gate()
        await until(lambda: _true(scene.freshness.epoch == B))

        assert still_waiting
        assert scene.follower.restarts == 2


async def test_a_look_that_fails_changes_nothing() -> None:
    """The other connection is for requests, and may be down while the follower's is not."""
    async with following() as scene:
        scene.other.error = StoreUnavailable("away")
        asked = scene.other.asked
        await until(lambda: _true(scene.other.asked > asked + 1))

        assert scene.freshness.epoch == A


async def test_a_history_that_changes_later_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Not the first reading, which every start does."""
    async with following() as scene:
        quiet = not caplog.records
        scene.server.epoch = B
        await until(lambda: _true(scene.freshness.epoch is None))
        scene.link.open_gate()

        await until(lambda: _true(bool(caplog.records)))

        assert quiet
        assert "history has changed" in caplog.text


async def _true(answer: bool) -> bool:
    return answer
