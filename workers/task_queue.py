"""Putting tasks on the broker; the messages are names and JSON, so that senders need no code of the workers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from celery import Celery
from kombu.exceptions import OperationalError

from precompute.errors import StoreUnavailable
from precompute.schedules import Priority
from precompute.settings import Settings
from precompute.store import Store, checked
from precompute.tracing import OFF, Tracing
from workers.broker import build_app
from workers.messages import PRECOMPUTE_TASK, QUEUE_OF, REFRESH_QUEUE, REFRESH_TASK, SENT_MS


class ChunkQueue(Protocol):
    """Where chunks of jobs wait for a worker."""

    def precompute_chunk(
        self, job_id: str, number: int, *, priority: Priority = "normal", fence: int | None = None
    ) -> None:
        """Queues one chunk of a job; with the sender's fencing number, if it acts as the leader."""

    def waiting_chunks(self) -> int:
        """Chunks that no worker has taken."""


class RefreshQueue(Protocol):
    """Where keys wait for a worker that recomputes them."""

    def refresh(self, model: str, keys: Sequence[str], changed_ms: Sequence[int] = ()) -> None:
        """Queues at most `REFRESH_KEYS` keys of what the model serves; with when each was changed, if that is why."""

    def waiting_refreshes(self) -> int:
        """Tasks that no worker has taken."""


class CeleryQueue:
    """Tasks for Celery workers, in Redis; both kinds of queue."""

    def __init__(self, app: Celery, broker: Store, tracing: Tracing = OFF) -> None:
        self._app = app
        self._broker = broker
        self._tracing = tracing

    def precompute_chunk(
        self, job_id: str, number: int, *, priority: Priority = "normal", fence: int | None = None
    ) -> None:
        """Queues one chunk of a job; with the sender's fencing number, if it acts as the leader."""
        args = (job_id, number) if fence is None else (job_id, number, fence)
        self._send(PRECOMPUTE_TASK, *args, queue=QUEUE_OF[priority])

    def waiting_chunks(self) -> int:
        """Chunks that no worker has taken."""
        return sum(map(checked, self._broker.run([("LLEN", queue) for queue in QUEUE_OF.values()])))

    def refresh(self, model: str, keys: Sequence[str], changed_ms: Sequence[int] = ()) -> None:
        """Queues at most `REFRESH_KEYS` keys of what the model serves; with when each was changed, if that is why."""
        more = (list(changed_ms),) if changed_ms else ()
        self._send(REFRESH_TASK, model, list(keys), *more, queue=REFRESH_QUEUE)

    def waiting_refreshes(self) -> int:
        """Tasks that no worker has taken."""
        return int(self._broker.call("LLEN", REFRESH_QUEUE))

    def close(self) -> None:
        """Gives the connections back."""
        self._app.close()
        self._broker.close()

    def _send(self, task: str, *args: object, queue: str) -> None:
        with self._tracing.span(f"send {task}", "producer", nearcast_queue=queue):
            headers = {SENT_MS: time.time_ns() // 1_000_000, **self._tracing.headers()}
            try:
                self._app.send_task(task, args=args, queue=queue, headers=headers)
            except OperationalError as error:
                raise StoreUnavailable(f"the task queue is unavailable: {error}") from error


def open_queue(settings: Settings, tracing: Tracing = OFF) -> CeleryQueue:
    """The queue that the settings name."""
    return CeleryQueue(build_app(settings), Store(settings.queue_url, timeout_s=settings.redis_timeout_s), tracing)
