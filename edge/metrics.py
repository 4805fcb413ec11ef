"""A snapshot in Prometheus' form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.types import Receive, Scope, Send

from edge.api.wire import header, send_response
from edge.triton_metrics import TritonCollector, errors_by_model
from precompute.metrics import BuildInfo, counter, counters, gauge, histograms
from precompute.snapshot import Snapshot

#: Upper bounds of the latency buckets in seconds: from 50 µs, doubling or less; each is one of `durations.BOUNDS_S`.
BUCKETS_S = (
    0.00005, 0.0001, 0.00015, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01,
    0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
)  # fmt: skip

COUNTERS = {
    "not_modified": "Answers that the client had already (304).",
    "replica_failures": "Reads of the replica that failed.",
    "corrupt_entries": "Stored entries that were not what their key promises.",
    "corrupt_entries_set_aside": "Such entries whose bytes were kept in the primary, for `nearcast dead`.",
    "corrupt_entries_dropped": "Such entries whose bytes were not kept: no room or no primary.",
    "absent_hits": "Requests for keys known to have no row.",
    "revalidations": "Background recomputations begun after a stale answer.",
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
    "resident_memory_bytes": "Memory that the processes of this node hold, as the system counts it.",
    "ready": "Processes of this node that take traffic.",
    "processes": "Processes of this node whose numbers are of now.",
    "processes_silent": "Processes of this node of which only the last known numbers are in here.",
}
PEAKS = {
    "resident_memory_max_bytes": "Limit that their container sets; 0 is none.",
    "replica_lag_seconds": "How far behind the primary this node may be.",
    "follower_lag_seconds": "How long ago the update logs had been read to their end.",
    "models_loaded": "Versions loaded.",
    "model_failures": "Versions that could not be loaded.",
}
#: What each tier's answers are: something that was there, or something that had to be made.
RESULTS = {"memory": "hit", "replica": "hit", "stale": "hit", "live": "miss", "default": "miss"}


class SnapshotCollector(Collector):
    """Shows one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """All metric families."""
        snapshot = self._snapshot
        yield self._requests()
        yield self._durations()
        yield self._errors()
        for name, text in COUNTERS.items():
            yield counter(name, text, snapshot.counters.get(name, 0))
        for kind, values in ((SUMS, snapshot.sums), (PEAKS, snapshot.peaks)):
            for name, text in kind.items():
                yield gauge(name, text, values.get(name, 0))

    def _requests(self) -> Metric:
        """Each key asked for is in here once: hits, misses and errors are all there is."""
        family = counters("requests", "Keys asked for, by what answered them.", "model", "tier", "result")
        for (model, tier), durations in self._snapshot.by_tier().items():
            family.add_metric((model, tier, RESULTS[tier]), durations.count)
        for model, count in errors_by_model(self._snapshot).items():
            family.add_metric((model, "none", "error"), count)
        return family

    def _durations(self) -> Metric:
        family = histograms("request_duration_seconds", "Time to answer, by tier.", "model", "tier")
        bounds = (*map(str, BUCKETS_S), "+Inf")
        for labels, durations in self._snapshot.by_tier().items():
            running = map(float, durations.up_to(BUCKETS_S))
            family.add_metric(labels, list(zip(bounds, running, strict=True)), durations.total_ns / 1e9)
        return family

    def _errors(self) -> Metric:
        family = counters("errors", "Keys not answered, by status.", "model", "status")
        for (model, status), count in self._snapshot.errors.items():
            family.add_metric((model, str(status)), count)
        return family


class MetricsPage:
    """`/metrics`, in the form that is asked for: OpenMetrics, or Prometheus' own."""

    def __init__(self, totals: Callable[[], Awaitable[Snapshot]]) -> None:
        self._totals = totals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers with everything."""
        encode, content_type = choose_encoder((header(scope, b"accept") or b"").decode("latin-1"))
        body = encode(registry_of(await self._totals()))
        headers = [(b"content-type", content_type.encode()), (b"cache-control", b"no-store"), (b"vary", b"accept")]
        await send_response(send, 200, headers, body, head=scope["method"] == "HEAD")


def registry_of(snapshot: Snapshot) -> CollectorRegistry:
    """Everything that an edge shows."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in (BuildInfo("edge"), SnapshotCollector(snapshot), TritonCollector(snapshot)):
        registry.register(collector)
    return registry
