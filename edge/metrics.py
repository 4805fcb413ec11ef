"""A snapshot in Prometheus' form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import Receive, Scope, Send

from edge.api.wire import send_response
from edge.snapshot import Snapshot
from edge.stats import BUCKETS_S

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

COUNTERS = {
    "not_modified": "Answers that the client had already (304).",
    "replica_failures": "Reads of the replica that failed.",
    "corrupt_entries": "Stored entries that were not what their key promises.",
    "corrupt_entries_set_aside": "Such entries whose bytes were kept in the primary, for `nearcast dead`.",
    "corrupt_entries_dropped": "Such entries whose bytes were not kept: no room or no primary.",
    "absent_hits": "Requests for keys known to have no row.",
    "revalidations_shed": "Background recomputations refused for load.",
    "memory_evictions": "Entries pushed out of the memory tier.",
    "live_rows": "Rows computed on demand.",
    "live_batches": "Model runs on demand.",
    "live_thread_batches": "Model runs on demand that were moved to a thread.",
    "write_backs": "Live results written to the primary.",
    "write_backs_dropped": "Live results not written: no room or no primary.",
    "write_backs_refused": "Live results that the primary refused.",
    "hot_windows_dropped": "Windows of key counts that found no primary.",
    "log_records": "Update log records followed, by each process.",
    "log_records_damaged": "Update log records that could not be read.",
    "follower_restarts": "Times the update logs were read from their start.",
}
#: By how they add up over the processes of a node.
SUMS = {
    "memory_entries": "Entries in the memory tiers.",
    "memory_bytes": "Bytes in the memory tiers.",
    "memory_max_bytes": "Limit of the memory tiers.",
    "live_waiting": "Keys waiting for live inference.",
    "write_backs_waiting": "Live results on their way to the primary.",
    "ready": "Processes of this node that take traffic.",
    "processes": "Processes of this node whose numbers are of now.",
    "processes_silent": "Processes of this node of which only the last known numbers are in here.",
}
PEAKS = {
    "replica_lag_seconds": "How far behind the primary this node may be.",
    "models_loaded": "Versions loaded.",
    "model_failures": "Versions that could not be loaded.",
}


class SnapshotCollector(Collector):
    """Shows one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """All metric families."""
        snapshot = self._snapshot
        yield from self._answers()
        yield self._errors()
        for name, text in COUNTERS.items():
            yield CounterMetricFamily(f"nearcast_{name}", text, value=snapshot.counters.get(name, 0))
        for kind, values in ((SUMS, snapshot.sums), (PEAKS, snapshot.peaks)):
            for name, text in kind.items():
                yield GaugeMetricFamily(f"nearcast_{name}", text, value=values.get(name, 0))

    def _answers(self) -> Iterator[Metric]:
        totals = CounterMetricFamily("nearcast_requests", "Keys answered, by tier.", labels=("model", "tier"))
        took = HistogramMetricFamily(
            "nearcast_request_duration_seconds", "Time to answer, by tier.", labels=("model", "tier")
        )
        for labels, durations in self._snapshot.answers.items():
            totals.add_metric(labels, sum(durations.counts))
            buckets, running = [], 0
            for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), durations.counts, strict=True):
                running += count
                buckets.append((bound, float(running)))
            took.add_metric(labels, buckets, durations.total_ns / 1e9)
        yield totals
        yield took

    def _errors(self) -> Metric:
        family = CounterMetricFamily("nearcast_errors", "Keys not answered, by status.", labels=("model", "status"))
        for (model, status), count in self._snapshot.errors.items():
            family.add_metric((model, str(status)), count)
        return family


class MetricsPage:
    """`/metrics`."""

    def __init__(self, totals: Callable[[], Awaitable[Snapshot]]) -> None:
        self._totals = totals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers with everything."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(SnapshotCollector(await self._totals()))
        headers = [(b"content-type", CONTENT_TYPE), (b"cache-control", b"no-store")]
        await send_response(send, 200, headers, generate_latest(registry), head=scope["method"] == "HEAD")
