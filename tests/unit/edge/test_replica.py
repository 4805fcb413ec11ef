"""Reads gathered per turn of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from edge.redis_wire import Outcome, Then
from edge.replica import SLICE, Replica
from precompute.errors import StoreUnavailable
from precompute.store import CommandFailed
from precompute.updates import Command


class FakeLink:
    """Answers every MGET with its keys; `error` is raised, or stands among the replies, or `lost` comes instead."""

    def __init__(self) -> None:
        self.sent: list[Sequence[Command]] = []
        self.error: Exception | None = None
        self.lost: StoreUnavailable | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    def send(self, commands: Sequence[Command], then: Then) -> None:
        if isinstance(self.error, StoreUnavailable):
            raise self.error
        self.sent.append(commands)
        asyncio.ensure_future(self._replies(commands)).add_done_callback(lambda done: then(done.result()))

    async def _replies(self, commands: Sequence[Command]) -> Outcome:
        await self.gate.wait()
        if self.lost is not None:
            return self.lost
        if self.error is not None:
            return [self.error] * len(commands)
        return [[None if key == "absent" else str(key).encode() for key in command[1:]] for command in commands]


def make() -> tuple[Replica, FakeLink]:
    """Reads, and the link they go through."""
    link = FakeLink()
    return Replica(link), link  # type: ignore[arg-type]


async def test_gets_of_one_turn_are_one_mget() -> None:
    """And everybody gets their own values, in order."""
    replica, link = make()

    found = await asyncio.gather(replica.get(["a", "b"]), replica.get(["absent"]), replica.get(["c", "a"]))

    assert found == [[b"a", b"b"], [None], [b"c", b"a"]]
    assert link.sent == [[("MGET", "a", "b", "absent", "c", "a")]]


async def test_whoever_has_gathered_already_does_not_wait_for_the_turn() -> None:
    """Nor for what others gather."""
    replica, link = make()
    came: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    waiting = replica.get(["a"])
    replica.read(["b", "absent"], came.set_result)
    sent = list(link.sent)

    assert await came == [b"b", None]
    assert await waiting == [b"a"]
    assert (sent, link.sent[1:]) == ([[("MGET", "b", "absent")]], [[("MGET", "a")]])


async def test_a_connection_that_is_lost_fails_everybody_who_waits() -> None:
    """However they wait."""
    replica, link = make()
    came: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    link.lost = StoreUnavailable("lost")

    replica.read(["a"], came.set_result)

    assert await asyncio.gather(replica.get(["b"]), came, return_exceptions=True) == [link.lost, link.lost]


async def test_gets_of_different_turns_are_not_held_back() -> None:
    """Nobody waits for a timer."""
    replica, link = make()

    await replica.get(["a"])
    await replica.get(["b"])

    assert len(link.sent) == 2


async def test_a_large_get_is_cut_into_slices() -> None:
    """Others must get their turn at the server in between; the values come back as one list."""
    replica, link = make()
    keys = [f"k{i}" for i in range(2 * SLICE + 5)]

    values = await replica.get(keys)

    assert values == [key.encode() for key in keys]
    assert [len(command) - 1 for command in link.sent[0]] == [SLICE, SLICE, 5]


async def test_a_wait_given_up_leaves_the_others_their_values() -> None:
    """The read is everybody's."""
    replica, link = make()
    link.gate.clear()
    futures = [replica.get([key]) for key in "abc"]
    await asyncio.sleep(0)
    futures[1].cancel()

    link.gate.set()

    assert await futures[0] == [b"a"]
    assert await futures[2] == [b"c"]


@pytest.mark.parametrize("error", [StoreUnavailable("away"), CommandFailed("LOADING")], ids=["away", "refused"])
async def test_a_failed_read_fails_everybody_in_it(error: Exception) -> None:
    """As a store that is unavailable, whatever it was."""
    replica, link = make()
    link.error = error

    failed = await asyncio.gather(replica.get(["a"]), replica.get(["b"]), return_exceptions=True)
    link.error = None

    assert [type(error) for error in failed] == [StoreUnavailable] * 2
    assert await replica.get(["a"]) == [b"a"]
