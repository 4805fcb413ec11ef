"""Counts of keys on their way to the primary."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from edge.hot import HotKeys
from precompute.errors import StoreUnavailable
from precompute.hot_counter import Window
from precompute.store import CommandFailed
from precompute.updates import Command, Reply


class FakePrimary:
    """Takes commands, or does not."""

    def __init__(self) -> None:
        self.sent: list[Command] = []
        self.answer: Exception | int = 1

    async def run(self, commands: Sequence[Command]) -> list[Reply]:
        if isinstance(self.answer, StoreUnavailable):
            raise self.answer
        self.sent += commands
        return [self.answer] * len(commands)


def windows(primary: FakePrimary) -> list[tuple[str, dict[str, int]]]:
    """What has been handed over, by model."""
    pieces = [(str(command[1]), piece) for command in primary.sent for piece in command if isinstance(piece, bytes)]
    parsed = [(name, Window.parse(piece)) for name, piece in pieces]
    return [(name, dict(window.counts)) for name, window in parsed if window]


async def test_a_flush_hands_over_what_was_counted_and_begins_anew() -> None:
    """One window for each model that was asked."""
    primary = FakePrimary()
    hot = HotKeys(["late", "early"], primary, 3600.0)  # type: ignore[arg-type]
    for key in ("a", "b", "a"):
        hot.count("late", key)

    await hot.flush()
    await hot.flush()

    assert windows(primary) == [("hot:{late}:windows", {"a": 2, "b": 1})]


@pytest.mark.parametrize("answer", [StoreUnavailable("away"), CommandFailed("OOM")], ids=["away", "refused"])
async def test_a_window_that_nobody_takes_is_dropped_and_counted(answer: Exception) -> None:
    """Counts are not worth holding on to; the next window is taken as if nothing had been."""
    primary = FakePrimary()
    hot = HotKeys(["late"], primary, 3600.0)  # type: ignore[arg-type]
    primary.answer = answer
    hot.count("late", "a")
    await hot.flush()
    primary.answer, primary.sent = 1, []
    hot.count("late", "b")

    await hot.flush()

    assert hot.dropped == 1
    assert windows(primary) == [("hot:{late}:windows", {"b": 1})]


async def test_stopping_hands_over_the_last_window() -> None:
    """A restart loses no counts."""
    primary = FakePrimary()
    hot = HotKeys(["late"], primary, 3600.0)  # type: ignore[arg-type]
    hot.start()
    hot.count("late", "a")

    await hot.stop()

    assert windows(primary) == [("hot:{late}:windows", {"a": 1})]
