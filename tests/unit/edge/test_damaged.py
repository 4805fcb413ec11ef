"""Damaged entries: set aside once, bounded, droppable, counted."""

from __future__ import annotations

import asyncio

import msgspec

from edge import damaged
from edge.damaged import Damaged
from precompute.dead_letters import Letter
from precompute.errors import StoreUnavailable
from precompute.store import CommandFailed
from tests.unit.edge.test_write_back import FakePrimary


def make() -> tuple[Damaged, FakePrimary]:
    """A desk for damaged entries, and its primary."""
    primary = FakePrimary()
    return Damaged(primary, lambda: 7), primary  # type: ignore[arg-type]


async def test_the_bytes_are_set_aside_with_their_key_and_the_reason() -> None:
    """Once, however often it is met."""
    desk, primary = make()

    for _ in range(3):
        desk.offer("p:score:1:a", b"\xff\x00", "cut short")
    primary.futures[0].set_result([1, b"OK"])
    await asyncio.sleep(0)
    desk.offer("p:score:1:a", b"\xff\x00", "cut short")

    (push, *rest), letters = [command[0] for command in primary.sent], primary.sent[0][2]
    assert (push, rest) == ("LPUSH", ["LTRIM"])
    assert isinstance(letters, bytes)
    assert msgspec.msgpack.decode(letters, type=Letter) == Letter(
        "entries", "p:score:1:a", "", "cut short", 7, (b"\xff\x00",)
    )
    assert (desk.set_aside, desk.dropped) == (1, 0)


async def test_no_more_than_a_few_are_on_their_way() -> None:
    """A store full of damage does not fill the connection; the next who meets one tries again."""
    desk, primary = make()

    for i in range(damaged._MOST_WAITING + 3):
        desk.offer(f"k{i}", b"x", "why")

    assert (len(primary.futures), desk.dropped) == (damaged._MOST_WAITING, 3)


async def test_what_the_primary_did_not_take_is_offered_again() -> None:
    """It was away, or refused."""
    desk, primary = make()
    primary.error = StoreUnavailable("away")
    desk.offer("k", b"x", "why")
    primary.error = None
    desk.offer("k", b"x", "why")
    primary.futures[0].set_result([CommandFailed("OOM"), b"OK"])
    await asyncio.sleep(0)
    desk.offer("k", b"x", "why")
    primary.futures[1].set_exception(StoreUnavailable("lost"))
    await asyncio.sleep(0)

    assert (desk.set_aside, desk.dropped, len(primary.futures)) == (0, 3, 2)
