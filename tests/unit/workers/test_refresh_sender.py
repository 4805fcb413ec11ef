"""Queueing no more than workers manage."""

from __future__ import annotations

from collections.abc import Sequence

from workers.allowance import Allowance
from workers.messages import REFRESH_KEYS
from workers.refresh_sender import RefreshSender


class FakeQueue:
    def __init__(self, waiting: int = 0) -> None:
        self.waiting = waiting
        self.sent: list[tuple[str, int]] = []

    def refresh(self, model: str, keys: Sequence[str], changed_ms: Sequence[int] = ()) -> None:
        self.sent.append((model, len(keys)))

    def waiting_refreshes(self) -> int:
        return self.waiting


def test_keys_travel_in_messages_of_bounded_size() -> None:
    """A task is a batch, and not a long one."""
    queue = FakeQueue()

    RefreshSender(queue, 16, Allowance(1e6)).send("late", ["k"] * (REFRESH_KEYS + 1))

    assert queue.sent == [("late", REFRESH_KEYS), ("late", 1)]


def test_a_full_queue_has_no_room() -> None:
    """Workers that are away do not make the queue grow."""
    rooms = [RefreshSender(FakeQueue(waiting), 3, Allowance(1e6)).room(0.0) for waiting in (0, 2, 3, 50)]

    assert rooms == [3 * REFRESH_KEYS, REFRESH_KEYS, 0, 0]


def test_the_rate_bounds_what_is_sent() -> None:
    """Live requests need the processors too."""
    sender = RefreshSender(FakeQueue(), 16, Allowance(100.0))
    first = sender.room(0.0)
    sender.send("late", ["k"] * 80)

    assert (first, sender.room(0.0), sender.room(0.5)) == (100, 20, 70)


def test_refreshing_yields_while_tasks_pile_up() -> None:
    """Workers that have better things to do get less and less, down to a trickle, and all of it when they are free."""
    queue = FakeQueue(8)
    sender = RefreshSender(queue, 16, Allowance(6400.0))
    slower = [sender.yield_to_others() for _ in range(10)]
    queue.waiting = 7
    faster = [sender.yield_to_others() for _ in range(10)]

    assert slower[:2] == [3200.0, 1600.0]
    assert slower[-1] == 100.0
    assert faster[0] == 900.0
    assert faster[-1] == 6400.0


def test_a_key_for_several_versions_spends_several_rows() -> None:
    """What was overspent is made up for before anything else is sent."""
    sender = RefreshSender(FakeQueue(), 16, Allowance(100.0))

    assert sender.room(0.0) == 100
    sender.send("late", ["k"] * 50, rows=3)

    assert sender.room(0.0) == 0
    assert sender.room(0.4) == 0
    assert sender.room(1.0) > 0
