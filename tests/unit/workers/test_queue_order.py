"""In which order a worker looks for tasks."""

from __future__ import annotations

from workers.messages import IDLE_QUEUE, PRECOMPUTE_QUEUE, REFRESH_QUEUE, URGENT_QUEUE
from workers.queue_order import QueueOrder


def order() -> QueueOrder:
    """Of all queues, named in any order."""
    made = QueueOrder()
    made.update([IDLE_QUEUE, PRECOMPUTE_QUEUE, URGENT_QUEUE, REFRESH_QUEUE])
    return made


def test_urgent_tasks_come_first_and_idle_ones_last() -> None:
    """Always."""
    queues = order()
    for _ in range(3):
        queues.rotate(URGENT_QUEUE)

    assert queues.consume(4) == [URGENT_QUEUE, PRECOMPUTE_QUEUE, REFRESH_QUEUE, IDLE_QUEUE]


def test_refreshes_and_jobs_take_turns() -> None:
    """What a task was taken from comes second next time."""
    queues = order()

    queues.rotate(PRECOMPUTE_QUEUE)
    after_job = queues.consume(4)
    queues.rotate(REFRESH_QUEUE)
    after_refresh = queues.consume(4)

    assert after_job[1:3] == [REFRESH_QUEUE, PRECOMPUTE_QUEUE]
    assert after_refresh[1:3] == [PRECOMPUTE_QUEUE, REFRESH_QUEUE]


def test_a_queue_of_somebody_else_changes_nothing() -> None:
    """Kombu names whatever a message came from."""
    queues = order()

    assert queues.rotate("other") == "other"
    assert len(queues.consume(9)) == 4
