"""In which order a worker looks for tasks: what is urgent first, then by turns, and last what may wait."""

from __future__ import annotations

from collections.abc import Iterable

from workers.messages import IDLE_QUEUE, URGENT_QUEUE

_RANK = {URGENT_QUEUE: -1, IDLE_QUEUE: 1}


class QueueOrder:
    """A cycle as kombu's Redis transport wants it; it names the queues of one BRPOP in this order."""

    def __init__(self, queues: Iterable[str] = ()) -> None:
        self._queues = list(queues)

    def update(self, queues: Iterable[str]) -> None:
        """Takes in the queues to look at."""
        self._queues = list(queues)

    def consume(self, count: int) -> list[str]:
        """The first queues, in order."""
        return sorted(self._queues, key=lambda queue: _RANK.get(queue, 0))[:count]

    def rotate(self, last_used: str) -> str:
        """The queue that a task came from is the last of its rank next time."""
        if last_used in self._queues:
            self._queues.remove(last_used)
            self._queues.append(last_used)
        return last_used
