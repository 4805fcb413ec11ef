"""Keys that wait to be refreshed. Pure.

A key waits once however often something behind it changes, so what waits is bounded by what is hot, and a burst costs
one computation. Under pressure the hottest go first and the rest keeps waiting, merging with what comes.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from workers.dependents import HotKey


class PendingRefreshes:
    """What has changed and not been queued yet.

    Attributes:
        merged: changes that met a key already waiting, since the start.
    """

    def __init__(self, coalesce_s: float) -> None:
        self._coalesce_s = coalesce_s
        self._waiting: dict[tuple[str, str], HotKey] = {}
        self._due_s: float | None = None
        self.merged = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, keys: Iterable[HotKey], now_s: float) -> None:
        """Something behind these keys has changed."""
        for key in keys:
            name = key.model, key.text
            if name in self._waiting:
                self.merged += 1
            self._waiting[name] = key
        if self._due_s is None and self._waiting:
            self._due_s = now_s + self._coalesce_s

    def due_in_s(self, now_s: float) -> float | None:
        """Seconds until there is something to queue; None while nothing waits."""
        return None if self._due_s is None else max(0.0, self._due_s - now_s)

    def take(self, room: int, now_s: float) -> dict[str, list[str]]:
        """At most `room` keys by model, the hottest; the others are due again after another window."""
        if room >= len(self._waiting):
            chosen = list(self._waiting.values())
        else:
            chosen = heapq.nlargest(room, self._waiting.values(), key=lambda key: key.requests_per_s)
        by_model: dict[str, list[str]] = {}
        for key in chosen:
            del self._waiting[key.model, key.text]
            by_model.setdefault(key.model, []).append(key.text)
        self._due_s = now_s + self._coalesce_s if self._waiting else None
        return by_model
