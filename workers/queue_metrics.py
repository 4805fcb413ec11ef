"""What waits on the broker, and what was set aside, asked for when somebody looks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import msgspec
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from precompute import dead_letters
from precompute.errors import StoreUnavailable
from precompute.keys import dead_key
from precompute.metrics import gauges
from precompute.role_notes import QueueNote
from precompute.store import Store, checked
from precompute.updates import Reply
from workers.chunks import now_ms
from workers.messages import QUEUE_OF, REFRESH_QUEUE, SENT_MS

QUEUES = (REFRESH_QUEUE, *QUEUE_OF.values())
#: Where the broker's client keeps what was taken and is not done.
_TAKEN = "unacked_index"


class QueueCollector(Collector):
    """Shows the queues; nothing at all while Redis is away, because old numbers would look like new ones."""

    def __init__(self, store: Store, broker: Store) -> None:
        self._store = store
        self._broker = broker

    def describe(self) -> Iterator[Metric]:
        """Names need not be asked for on the network."""
        yield from self._families()

    def collect(self) -> Iterator[Metric]:
        """All metric families."""
        waiting, oldest, taken, dead = families = self._families()
        try:
            depths = self._broker.run([("LLEN", queue) for queue in QUEUES])
            # Senders push at the left.
            heads = self._broker.run([("LINDEX", queue, -1) for queue in QUEUES])
            taken.add_metric((), checked(self._broker.call("ZCARD", _TAKEN)))
            letters = self._store.run([("LLEN", dead_key(kind)) for kind in get_args(dead_letters.Kind)])
        except StoreUnavailable:
            return
        for queue, depth, head in zip(QUEUES, depths, heads, strict=True):
            waiting.add_metric((queue,), checked(depth))
            oldest.add_metric((queue,), age_s(checked(head), now_ms()))
        for kind, count in zip(get_args(dead_letters.Kind), letters, strict=True):
            dead.add_metric((kind,), checked(count))
        yield from families

    @staticmethod
    def _families() -> list[GaugeMetricFamily]:
        return [
            gauges("queue_tasks", "Tasks that no worker has taken.", "queue"),
            gauges("queue_oldest_seconds", "Age of the oldest of them.", "queue"),
            gauges("queue_taken_tasks", "Tasks that a worker has taken and not finished."),
            gauges("dead_letters", "What could not be read, set aside.", "kind"),
        ]


def queue_notes(broker: Store, at_ms: int) -> list[QueueNote]:
    """The queues as they are now. Raises StoreUnavailable."""
    depths = broker.run([("LLEN", queue) for queue in QUEUES])
    heads = broker.run([("LINDEX", queue, -1) for queue in QUEUES])
    return [
        QueueNote(queue, checked(depth), age_s(head, at_ms) if checked(head) else None)
        for queue, depth, head in zip(QUEUES, depths, heads, strict=True)
    ]


def age_s(message: Reply, at_ms: int) -> float:
    """How long ago a message was sent; 0 if there is none, or it does not say."""
    if message is None:
        return 0.0
    try:
        sent_ms = msgspec.json.decode(message)["headers"][SENT_MS]
        return max(0.0, (at_ms - int(sent_ms)) / 1000)
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return 0.0
