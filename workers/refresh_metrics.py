"""What a refresher has done, in Prometheus' form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from precompute.metrics import counter, gauge


@dataclass(slots=True)
class RefreshCounts:
    """The numbers of one refresher, written by its only thread.

    Attributes:
        changes: read from the update logs.
        claimed: records taken over from refreshers that died.
        unreadable: records set aside.
        queued: keys handed to the workers.
        merged: keys that were waiting already when something else behind them changed.
        pending: keys that wait.
        unacknowledged: records whose keys are not all queued.
        keys_per_s: what may be spent.
        progress_ms: when it last read the logs to their end, or got on with its work.
    """

    changes: int = 0
    claimed: int = 0
    unreadable: int = 0
    queued: int = 0
    merged: int = 0
    pending: int = 0
    unacknowledged: int = 0
    keys_per_s: float = 0.0
    progress_ms: int = 0


class RefreshCollector(Collector):
    """Shows the numbers of one refresher."""

    def __init__(self, counts: RefreshCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """All metric families."""
        counts = self._counts
        for name, text, value in (
            ("changes", "Changes of features read.", counts.changes),
            ("records_claimed", "Records taken over from refreshers that died.", counts.claimed),
            ("records_unreadable", "Records set aside, for `nearcast dead`.", counts.unreadable),
            ("keys_queued", "Hot keys handed to the workers.", counts.queued),
            ("keys_merged", "Hot keys that waited already when they changed again.", counts.merged),
        ):
            yield counter(f"refresher_{name}", text, value)
        for name, text, amount in (
            ("pending_keys", "Hot keys that wait for room.", counts.pending),
            ("unacknowledged_records", "Records whose keys are not all queued.", counts.unacknowledged),
            ("budget_keys", "Keys a second that may be queued.", counts.keys_per_s),
        ):
            yield gauge(f"refresher_{name}", text, amount)
        yield gauge(
            "refresher_last_progress_timestamp_seconds",
            "When it last went through its steps.",
            counts.progress_ms / 1000,
        )
