"""Queues keys to be recomputed, never more than workers are likely to manage."""

from __future__ import annotations

from collections.abc import Sequence

from workers.allowance import Allowance
from workers.messages import REFRESH_KEYS
from workers.task_queue import RefreshQueue


class RefreshSender:
    """Bounded twice: by rows a second, and by tasks that no worker has taken yet."""

    def __init__(self, queue: RefreshQueue, max_tasks: int, allowance: Allowance) -> None:
        self._queue = queue
        self._max_tasks = max_tasks
        self._allowance = allowance

    def room(self, now_s: float) -> int:
        """Rows that may be sent now. Raises StoreUnavailable."""
        allowed = self._allowance.available(now_s)
        if allowed <= 0:
            return 0
        free_tasks = max(0, self._max_tasks - self._queue.waiting_refreshes())
        return min(allowed, free_tasks * REFRESH_KEYS)

    def send(self, model: str, keys: Sequence[str], changed_ms: Sequence[int] = (), *, rows: int = 1) -> None:
        """Queues keys, at most as many as there was room for. Raises StoreUnavailable.

        Args:
            changed_ms: when what made each key due was changed; empty if it was no change.
            rows: what each key takes: one for each version that is kept warm.
        """
        for at in range(0, len(keys), REFRESH_KEYS):
            part = keys[at : at + REFRESH_KEYS]
            self._queue.refresh(model, part, changed_ms[at : at + REFRESH_KEYS])
            self._allowance.spend(len(part) * rows)

    def yield_to_others(self) -> float:
        """Sends less while tasks wait for workers, and more when they do not; keys per second from now on.

        Raises StoreUnavailable.
        """
        self._allowance.adapt(is_congested=2 * self._queue.waiting_refreshes() >= self._max_tasks)
        return self._allowance.rate
