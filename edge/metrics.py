"""An edge's numbers in Prometheus' form, collected when asked for: counting costs a request nothing but an addition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import Receive, Scope, Send

from edge.api.wire import send_response
from edge.stats import BUCKETS_S

if TYPE_CHECKING:
    from edge.app import Edge

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class EdgeCollector(Collector):
    """Reads the counters of one edge."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def collect(self) -> Iterator[Metric]:
        """All metric families."""
        yield from self._answers()
        yield self._errors()
        for name, text, value in self._counters():
            yield CounterMetricFamily(f"nearcast_{name}", text, value=value)
        for name, text, value in self._gauges():
            yield GaugeMetricFamily(f"nearcast_{name}", text, value=value)

    def _answers(self) -> Iterator[Metric]:
        totals = CounterMetricFamily("nearcast_requests", "Keys answered, by tier.", labels=("model", "tier"))
        took = HistogramMetricFamily(
            "nearcast_request_duration_seconds", "Time to answer, by tier.", labels=("model", "tier")
        )
        for (model, tier), histogram in self._edge.stats.answers.items():
            counts = list(histogram.counts)
            totals.add_metric((model, str(tier)), sum(counts))
            buckets, running = [], 0
            for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), counts, strict=True):
                running += count
                buckets.append((bound, float(running)))
            took.add_metric((model, str(tier)), buckets, histogram.total_s)
        yield totals
        yield took

    def _errors(self) -> Metric:
        family = CounterMetricFamily("nearcast_errors", "Keys not answered, by status.", labels=("model", "status"))
        for (model, status), count in self._edge.stats.errors.items():
            family.add_metric((model, str(status)), count)
        return family

    def _counters(self) -> list[tuple[str, str, float]]:
        edge, stats = self._edge, self._edge.stats
        live, back = edge.ladder.live, edge.write_back
        return [
            ("not_modified", "Answers that the client had already (304).", stats.not_modified),
            ("replica_failures", "Reads of the replica that failed.", stats.replica_failures),
            (
                "corrupt_entries",
                "Stored entries that were not what their key promises.",
                stats.corrupt_entries,
            ),
            ("absent_hits", "Requests for keys known to have no row.", edge.ladder.absent.hits),
            ("revalidations_shed", "Background recomputations refused for load.", stats.revalidations_shed),
            ("memory_evictions", "Entries pushed out of the memory tier.", edge.memory.evictions),
            ("live_rows", "Rows computed on demand.", live.rows),
            ("live_batches", "Model runs on demand.", live.batches),
            ("live_thread_batches", "Model runs on demand that were moved to a thread.", live.in_threads),
            ("write_backs", "Live results written to the primary.", back.written),
            ("write_backs_dropped", "Live results not written: no room or no primary.", back.dropped),
            ("write_backs_refused", "Live results that the primary refused.", back.refused),
            ("hot_windows_dropped", "Windows of key counts that found no primary.", edge.hot.dropped),
            ("log_records", "Update log records followed.", edge.follower.records),
            ("log_records_damaged", "Update log records that could not be read.", edge.follower.damaged),
            (
                "follower_restarts",
                "Times the update logs were read from their start.",
                edge.follower.restarts,
            ),
        ]

    def _gauges(self) -> list[tuple[str, str, float]]:
        edge = self._edge
        return [
            ("memory_entries", "Entries in the memory tier.", len(edge.memory)),
            ("memory_bytes", "Bytes in the memory tier.", edge.memory.bytes),
            ("memory_max_bytes", "Limit of the memory tier.", edge.memory.max_bytes),
            ("live_waiting", "Keys waiting for live inference.", edge.ladder.live.waiting),
            ("write_backs_waiting", "Live results on their way to the primary.", edge.write_back.waiting),
            ("replica_lag_seconds", "How far behind the primary this edge may be.", edge.follower.lag_s()),
            ("ready", "Whether this edge takes traffic.", edge.ready),
            ("models_loaded", "Versions loaded.", len(edge.serving.servables())),
            ("model_failures", "Versions that could not be loaded.", len(edge.serving.failures)),
        ]


class MetricsPage:
    """`/metrics`."""

    def __init__(self, edge: Edge) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(EdgeCollector(edge))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers with everything."""
        headers = [(b"content-type", CONTENT_TYPE), (b"cache-control", b"no-store")]
        await send_response(send, 200, headers, generate_latest(self._registry), head=scope["method"] == "HEAD")
