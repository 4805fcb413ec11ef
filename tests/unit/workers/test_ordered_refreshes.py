"""What edges were told to have recomputed, handed on as there is room."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from precompute import orders
from precompute.store import Store
from tests.small_project import small_project
from workers.allowance import Allowance
from workers.ordered_refreshes import OrderedRefreshes
from workers.refresh_sender import RefreshSender


class List:
    """A Redis list, as far as wishes need one."""

    def __init__(self, *wishes: tuple[str, list[str]]) -> None:
        self.items = [msgspec.json.encode(wish) for wish in wishes]

    def call(self, command: str, _: str, *values: bytes) -> bytes | None:
        if command == "LPUSH":
            self.items[:0] = values
            return None
        return self.items.pop(0) if self.items else None


class Queue:
    """Remembers what it was given."""

    def __init__(self, waiting: int = 0) -> None:
        self.sent: list[tuple[str, int]] = []
        self._waiting = waiting

    def refresh(self, model: str, keys: Sequence[str], changed_ms: Sequence[int] = ()) -> None:
        self.sent.append((model, len(keys)))

    def waiting_refreshes(self) -> int:
        return self._waiting


def look(wishes: List, *, keys_per_s: float = 10_000, waiting: int = 0) -> list[tuple[str, int]]:
    """One look; what was queued."""
    queue = Queue(waiting)
    sender = RefreshSender(queue, 16, Allowance(keys_per_s))  # type: ignore[arg-type]
    store: Store = wishes  # type: ignore[assignment]
    OrderedRefreshes(store, small_project(), sender, clock_s=lambda: 0.0).look()
    return queue.sent


def test_wishes_are_queued_oldest_first() -> None:
    """All of them, while there is room."""
    assert look(List(("score", ["a", "b"]), ("score", ["c"]))) == [("score", 2), ("score", 1)]


def test_what_there_is_no_room_for_waits() -> None:
    """At the front, so that nobody overtakes it."""
    wishes = List(("score", [str(n) for n in range(1000)]), ("score", ["z"]))

    assert look(wishes, keys_per_s=300) == [("score", 300)]
    assert orders.take_refresh(wishes) == ("score", [str(n) for n in range(300, 1000)])  # type: ignore[arg-type]


@pytest.mark.parametrize("room", [{"keys_per_s": 0.5}, {"waiting": 16}])
def test_nothing_is_taken_when_workers_are_busy(room: dict[str, float]) -> None:
    """A wish that was taken would be lost with whoever took it."""
    wishes = List(("score", ["a"]))

    assert look(wishes, **room) == []  # type: ignore[arg-type]
    assert len(wishes.items) == 1


def test_a_model_that_is_gone_is_left_out() -> None:
    """The wish may be older than the project file."""
    assert look(List(("gone", ["a"]), ("score", ["b"]))) == [("score", 1)]
