"""Keys in order of arrival, from which any may be removed without being looked for, and without a pause."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

#: Removed keys that are not worth a thought.
_FEW = 100
#: Keys looked at with each removal, once there are more removed ones than others; takes 10 µs.
_SLICE = 64


class Arrivals:
    """A queue of different keys. A removed one keeps its place, where it is passed over, unless it has come back.

    Attributes:
        bytes: what the keys in it weigh, for whoever uses it.
    """

    def __init__(self) -> None:
        self.bytes = 0
        #: Keys that removals have gone through stand in front of the others.
        self._front: deque[str] = deque()
        self._back: deque[str] = deque()
        self._gone: set[str] = set()

    def __len__(self) -> int:
        return len(self._front) + len(self._back) - len(self._gone)

    def append(self, key: str) -> None:
        """Adds one behind all others; one that was removed may find its old place."""
        if key in self._gone:
            self._gone.remove(key)
        else:
            self._back.append(key)

    def pop(self) -> str:
        """Takes the oldest key that has not been removed."""
        while True:
            key = (self._front or self._back).popleft()
            if key not in self._gone:
                return key
            self._gone.remove(key)

    def remove(self, key: str) -> None:
        """Passes over a key."""
        self._gone.add(key)
        if len(self._gone) > len(self) + _FEW:
            self._tidy()

    def __iter__(self) -> Iterator[str]:
        return (key for key in (*self._front, *self._back) if key not in self._gone)

    def _tidy(self) -> None:
        if not self._back:
            self._front, self._back = self._back, self._front
        for _ in range(min(_SLICE, len(self._back))):
            key = self._back.popleft()
            if key in self._gone:
                self._gone.remove(key)
            else:
                self._front.append(key)
