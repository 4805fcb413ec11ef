"""Keys that wait to be refreshed. Pure.

A key waits once however often something behind it changes, so what waits is bounded by what is hot, and a burst costs
one computation. Under pressure the worthiest go first and the rest keeps waiting, merging with what comes.

What made a key wait is known by a number, counting up; whoever has to know whether all is done up to a number asks
for the oldest one that something still waits for.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class HotKey:
    """A key to recompute when something behind it changes.

    Attributes:
        worth: what computing it earns, compared with others.
        rows: what computing it takes: one for each version that is kept warm.
    """

    model: str
    text: str
    worth: float
    rows: int = 1


class PendingRefreshes:
    """What has changed and not been queued yet.

    Attributes:
        merged: changes that met a key already waiting, since the start.
    """

    def __init__(self, coalesce_s: float) -> None:
        self._coalesce_s = coalesce_s
        self._waiting: dict[tuple[str, str], tuple[HotKey, int]] = {}
        self._due_s: float | None = None
        self.merged = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, keys: Iterable[HotKey], number: int, now_s: float) -> None:
        """Something behind these keys has changed."""
        for key in keys:
            name = key.model, key.text
            before = self._waiting.get(name)
            if before is not None:
                self.merged += 1
            self._waiting[name] = key, number if before is None else before[1]
        if self._due_s is None and self._waiting:
            self._due_s = now_s + self._coalesce_s

    def due_in_s(self, now_s: float) -> float | None:
        """Seconds until there is something to queue; None while nothing waits."""
        return None if self._due_s is None else max(0.0, self._due_s - now_s)

    def chosen(self, room: int) -> dict[str, list[str]]:
        """Keys of at most `room` rows by model, the worthiest; they wait until they are `queued`."""
        keys = [key for key, _ in self._waiting.values()]
        if room < sum(key.rows for key in keys):
            keys = heapq.nlargest(room, keys, key=lambda key: key.worth)
            keys = keys[: bisect_right(list(accumulate(key.rows for key in keys)), room)]
        by_model: dict[str, list[str]] = {}
        for key in keys:
            by_model.setdefault(key.model, []).append(key.text)
        return by_model

    def number(self, model: str, text: str) -> int:
        """The number of what made a key wait, the oldest if it was more than one thing."""
        return self._waiting[model, text][1]

    def queued(self, model: str, texts: Iterable[str]) -> None:
        """These wait no more."""
        for text in texts:
            self._waiting.pop((model, text), None)

    def put_off(self, now_s: float) -> None:
        """What still waits is due again after another window."""
        self._due_s = now_s + self._coalesce_s if self._waiting else None

    def oldest(self) -> int | None:
        """The lowest number that something waits for; None if nothing waits."""
        return min((number for _, number in self._waiting.values()), default=None)
