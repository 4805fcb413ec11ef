"""What we were given and have not acknowledged. Pure.

Records are acknowledged in the order they came, and only when no key waits any more that one of them made wait. So a
record is acknowledged late rather than early: a refresher that dies has its work done again, never left undone.
"""

from __future__ import annotations

from collections import deque

from workers.change_reader import Delivery

#: Records; with more of them in hand we read no further, and the log keeps what comes.
MOST_RECORDS = 100_000


class Receipts:
    """Deliveries by number, counting up."""

    def __init__(self) -> None:
        self._open: deque[tuple[int, Delivery]] = deque()
        self._last = 0
        self.records = 0

    @property
    def is_full(self) -> bool:
        """Whether to work before reading on."""
        return self.records >= MOST_RECORDS

    def add(self, delivery: Delivery) -> int:
        """The number of a delivery."""
        self._last += 1
        self._open.append((self._last, delivery))
        self.records += len(delivery.records)
        return self._last

    def since_ms(self, number: int) -> int:
        """When the first record of a delivery that is still open was made, in ms since 1970 by the primary's clock."""
        _, delivery = self._open[number - self._open[0][0]]
        return int(delivery.records[0].partition(b"-")[0])

    def done(self, oldest: int | None) -> list[Delivery]:
        """Deliveries that nothing waits for, given the oldest number that something does wait for."""
        return [delivery for number, delivery in self._open if oldest is None or number < oldest]

    def close(self, deliveries: list[Delivery]) -> None:
        """These, the oldest, were acknowledged."""
        for _ in deliveries:
            self.records -= len(self._open.popleft()[1].records)
