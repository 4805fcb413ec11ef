"""Who listens to the dashboard's numbers: all who want the same for the price of one, and not too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from edge.dashboard import data
from edge.dashboard.data import MOST_CHANNELS, MOST_LISTENERS, Events, Wanted
from precompute.errors import InvalidRequest, StoreUnavailable
from tests.waiting import until

NOW_MS = 1_800_000_000_000


class FakeDocument:
    """Three bytes."""

    def encode(self) -> bytes:
        return b"{}\n"


class FakeGatherer:
    """Counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str | None]] = []
        self.error: Exception | None = None

    async def document(self, range_s: int, node: str | None) -> FakeDocument:
        self.asked.append((range_s, node))
        if self.error is not None:
            raise self.error
        return FakeDocument()


class Listener:
    """A page that listens until it hangs up."""

    def __init__(self) -> None:
        self.status = 0
        self.heard: list[bytes] = []
        self.ended = False
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, object]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.heard.append(message["body"])
            self.ended = not message.get("more_body")


class Scene:
    """A clock that always says that a bucket ends in a few milliseconds."""

    def __init__(self) -> None:
        self.gatherer = FakeGatherer()
        self.events = Events(self.gatherer, lambda: NOW_MS + data._AFTER_MS - 3)  # type: ignore[arg-type]

    @asynccontextmanager
    async def listening(self, query: bytes = b"range_s=60") -> AsyncIterator[Listener]:
        listener = Listener()
        scope = {"type": "http", "method": "GET", "path": "/dashboard/live", "query_string": query, "headers": []}
        task = asyncio.create_task(self.events(scope, listener.receive, listener.send))
        await until(lambda: _value(listener.status))
        try:
            yield listener
        finally:
            listener.gone.set()
            await task


async def _value(value: int) -> int:
    return value


async def test_all_who_want_the_same_are_told_the_same() -> None:
    """One document for each time, however many listen."""
    scene = Scene()
    async with scene.listening() as first, scene.listening() as second:
        await until(lambda: _value(min(len(first.heard), len(second.heard)) > 3))
        asked, heard = len(scene.gatherer.asked), len(first.heard)

    assert asked <= heard + 1
    assert set(first.heard[1:]) == {b"event: data\ndata: {} \n\n"}
    assert scene.events.listeners == 0


async def test_nobody_listening_is_no_work() -> None:
    """The last one to leave ends it."""
    scene = Scene()
    async with scene.listening(), scene.listening():
        during = list(scene.events.channels)

    assert len(during) == 1
    assert not scene.events.channels


async def test_a_redis_that_is_away_is_said() -> None:
    """And the stream goes on, for when it is back."""
    scene = Scene()
    scene.gatherer.error = StoreUnavailable("away")
    async with scene.listening() as listener:
        await until(lambda: _value(len(listener.heard) > 1))
        scene.gatherer.error = None
        await until(lambda: _value(any(b"data: {}" in event for event in listener.heard)))

    assert b"event: problem\ndata: away\n\n" in listener.heard


@pytest.mark.parametrize("query", [b"range_s=59", b"range_s=86401", b"range_s=soon", b"range_s=\xff", b"a&" * 9])
def test_a_query_that_makes_no_sense_is_refused(query: bytes) -> None:
    """Out of range, no number, no text, or too much of it."""
    with pytest.raises(InvalidRequest):
        Wanted.parse({"query_string": query})


async def test_the_end_of_the_process_ends_streams() -> None:
    """Properly, as a response that is complete."""
    scene = Scene()
    async with scene.listening() as listener:
        scene.events.close()
        await until(lambda: _value(listener.ended))

    assert listener.heard[-1] == b""


@pytest.mark.parametrize(
    ("queries", "most"),
    [([b"range_s=60"] * MOST_LISTENERS, MOST_LISTENERS), ([b"range_s=%d" % n for n in range(60, 68)], MOST_CHANNELS)],
    ids=["listeners", "channels"],
)
async def test_one_too_many_is_refused(queries: list[bytes], most: int) -> None:
    """With a 503; those who listen already go on."""
    scene = Scene()
    async with AsyncExitStack() as stack:
        for query in queries:
            await stack.enter_async_context(scene.listening(query))
        refused = await stack.enter_async_context(scene.listening(b"range_s=900"))

        assert len(queries) == most
        assert refused.status == 503
        assert scene.events.listeners == most
