"""Things that follow from others and are dear to work out again: the latest so many."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Latest(Generic[K, V]):
    """Values by key; each new one beyond `most` takes the place of the oldest.

    Emptying it as a whole now and then would be simpler, and hold up everybody for some milliseconds each time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: dict[K, V] = {}
        self._order: deque[K] = deque()
        #: The value of a key; None if it is not there.
        self.get = self._values.get

    def __len__(self) -> int:
        return len(self._values)

    def put(self, key: K, value: V) -> None:
        """Keeps a value."""
        if key not in self._values:
            if len(self._order) >= self._most:
                del self._values[self._order.popleft()]
            self._order.append(key)
        self._values[key] = value
