"""A snapshot in Prometheus' form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.types import Receive, Scope, Send

from edge.api.wire import header, send_response
from edge.triton_metrics import TritonCollector, errors_by_model
from precompute.durations import Durations
from precompute.metrics import BuildInfo, counter, counters, gauge, gauges, histograms
from precompute.snapshot import Snapshot
from precompute.views import View

#: Upper bounds of the latency buckets in seconds: from 50 µs, doubling or less; each is one of `durations.BOUNDS_S`.
BUCKETS_S = (
    0.00005, 0.0001, 0.00015, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01,
    0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
)  # fmt: skip

#: From a moment to a month; each is one of `durations.BOUNDS_S`.
AGE_BUCKETS_S = (
    0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0, 100_000.0, 300_000.0,
)  # fmt: skip
DELAY_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0)
#: What `Snapshot.timings` hold.
TIMINGS = {
    "age": ("Age of answers that were there already; one for each millisecond with any.", AGE_BUCKETS_S),
    "update_to_stale": ("From a change to the end of what was made before.", DELAY_BUCKETS_S),
}
#: Under these names.
_SHOWN_AS = {"age": "prediction_age", "update_to_stale": "update_to_stale"}
#: What `Snapshot.views` hold.
VIEWS = {
    "updates": "Changes read, of views with an SLA; by each process.",
    "updates_within_sla": "Of these, those known within the SLA.",
}
#: What `Snapshot.routed` hold, and the names under which that is shown.
ROUTED = {
    "chosen": ("routing_choices", "Variants chosen by routing: for a key, or for all candidates of a ranking."),
    "over_budget": (
        "routing_over_budget",
        "Of these, the fastest where no variant fitted the budget.",
    ),
}
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
    "foreseen_in_vain": "Requests that were computed for while the replica was asked, which had an entry after all.",
    "live_rows": "Rows computed on demand.",
    "live_batches": "Model runs on demand.",
    "live_thread_batches": "Model runs on demand that were moved to a thread.",
    "write_backs": "Live results written to the primary.",
    "write_backs_dropped": "Live results not written: no room or no primary.",
    "write_backs_refused": "Live results that the primary refused.",
    "hot_windows_dropped": "Windows of key counts that found no primary.",
    "exposures": "Answers of experiments recorded in the primary.",
    "exposures_dropped": "Such records not written: no room or no primary.",
    "experiments_unready": "Requests of experiments with an arm that could not answer; they got the default.",
    "telemetry_buckets": "Buckets of these numbers written to the primary, for dashboards.",
    "telemetry_buckets_dropped": "Such buckets not written: no primary, or too large.",
    "model_loads": "Versions loaded.",
    "models_let_go": "Versions let go of for others, because there was no memory for all.",
    "model_runs_ended": "Runs of models that were ended because they took too long.",
    "routing_probes": "Variants computed once more in the background, to measure them.",
    "routing_probes_failed": "Of these, those that brought no prediction.",
    "routing_profiles_dropped": "Measured latencies not written to the primary.",
    "variant_notes_dropped": "Notes on which variants are loaded, for dashboards, not written to the primary.",
    "log_records": "Update log records followed, by each process.",
    "log_records_damaged": "Update log records that could not be read.",
    "follower_restarts": "Times the update logs were read from their start.",
}
#: By how they add up over the processes of a node.
SUMS = {
    "memory_entries": "Entries in the memory tiers.",
    "memory_bytes": "Bytes in the memory tiers.",
    "memory_max_bytes": "Limit of the memory tiers.",
    "model_memory_bytes": "Bytes that loaded models are reckoned to take.",
    "model_memory_max_bytes": "Limit of these.",
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
    "experiments_running": "Experiments that run.",
    "experiments_broken": "Experiments that go neither with the project nor with the others.",
    "models_loaded": "Versions that are loaded now.",
    "models_taken_out": "Versions that are taken out for a while because they failed.",
    "model_failures": "Versions that could not be loaded.",
}
#: What each tier's answers are: something that was there, or something that had to be made.
RESULTS = {"memory": "hit", "replica": "hit", "stale": "hit", "live": "miss", "default": "miss"}


class SnapshotCollector(Collector):
    """Shows one snapshot."""

    def __init__(self, snapshot: Snapshot, views: Sequence[View] = ()) -> None:
        self._snapshot = snapshot
        self._views = views

    def collect(self) -> Iterator[Metric]:
        """All metric families."""
        snapshot = self._snapshot
        yield self._requests()
        yield self._durations()
        yield self._errors()
        yield self._shed()
        yield from self._timings()
        yield from self._views_in_time()
        yield self._variants()
        yield from self._routed()
        yield self._breakers()
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

    def _shed(self) -> Metric:
        family = counters("requests_shed", "Keys refused for load, which are among the errors.", "model")
        for (model, what), count in self._snapshot.of_which.items():
            if what == "shed":
                family.add_metric((model,), count)
        return family

    def _timings(self) -> Iterator[Metric]:
        for name, (text, bounds_s) in TIMINGS.items():
            durations = self._snapshot.timings.get(name, Durations())
            family = histograms(f"{_SHOWN_AS[name]}_seconds", text)
            running = map(float, durations.up_to(bounds_s))
            buckets = list(zip((*map(str, bounds_s), "+Inf"), running, strict=True))
            family.add_metric((), buckets, durations.total_ns / 1e9)
            yield family

    def _views_in_time(self) -> Iterator[Metric]:
        for name, text in VIEWS.items():
            family = counters(f"view_{name}", text, "view")
            for (of, what), count in self._snapshot.views.items():
                if what == name:
                    family.add_metric((of,), count)
            yield family
        sla = gauges("view_sla_seconds", "How soon after a change nothing older may be given as fresh.", "view")
        objective = gauges("view_objective_ratio", "Share of the changes for which that shall be so.", "view")
        for view in self._views:
            if view.sla_s is not None:
                sla.add_metric((view.name,), view.sla_s)
                objective.add_metric((view.name,), view.objective)
        yield from (sla, objective)

    def _variants(self) -> Metric:
        family = counters("variant_answers", "Keys answered, by the variant that gave the answer.", "model", "variant")
        counts: dict[tuple[str, str], int] = {}
        for (model, variant, _), durations in self._snapshot.answers.items():
            counts[model, variant] = counts.get((model, variant), 0) + durations.count
        for labels, count in counts.items():
            family.add_metric(labels, count)
        return family

    def _routed(self) -> Iterator[Metric]:
        for what, (name, text) in ROUTED.items():
            family = counters(name, text, "model", "variant")
            for (model, variant, of), count in self._snapshot.routed.items():
                if of == what:
                    family.add_metric((model, variant), count)
            yield family

    def _breakers(self) -> Metric:
        text = "Versions that a process of this node has taken out because they failed, until a trial succeeds."
        family = gauges("breaker_open", text, "model", "variant")
        for labels, count in self._snapshot.open_breakers.items():
            family.add_metric(labels, count)
        return family

    def _errors(self) -> Metric:
        family = counters("errors", "Keys not answered, by status.", "model", "status")
        for (model, status), count in self._snapshot.errors.items():
            family.add_metric((model, str(status)), count)
        return family


class MetricsPage:
    """`/metrics`, in the form that is asked for: OpenMetrics, or Prometheus' own."""

    def __init__(self, totals: Callable[[], Awaitable[Snapshot]], views: Sequence[View]) -> None:
        self._totals = totals
        self._views = views

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers with everything."""
        encode, content_type = choose_encoder((header(scope, b"accept") or b"").decode("latin-1"))
        body = encode(registry_of(await self._totals(), self._views))
        headers = [(b"content-type", content_type.encode()), (b"cache-control", b"no-store"), (b"vary", b"accept")]
        await send_response(send, 200, headers, body, head=scope["method"] == "HEAD")


def registry_of(snapshot: Snapshot, views: Sequence[View] = ()) -> CollectorRegistry:
    """Everything that an edge of a project with these views shows."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in (BuildInfo("edge"), SnapshotCollector(snapshot, views), TritonCollector(snapshot)):
        registry.register(collector)
    return registry
