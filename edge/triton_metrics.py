"""A snapshot under the names of Triton Inference Server, so that dashboards made for it show an edge.

Names, labels and units are Triton's (its user guide, "Metrics"). It counts by version as well; we show `version="all"`,
since an answer from memory is not counted by version. It calls counters what has no `_total` in its name, which
OpenMetrics does not know; untyped, they are the same to Prometheus.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import Metric, UnknownMetricFamily
from prometheus_client.registry import Collector

from precompute.snapshot import Snapshot

_VERSION = "all"
#: Tiers that have an answer before anybody asks.
CACHED = ("memory", "replica", "stale")
#: Why a request failed, in Triton's words: for load, for the client's doing, or else.
_REASONS = {503: "REJECTED", 504: "CANCELED"}

_TEXTS = {
    "nv_inference_request_success": "Keys answered, from whichever tier.",
    "nv_inference_count": "Rows computed on demand, cached answers not included.",
    "nv_inference_exec_count": "Model runs on demand.",
    "nv_inference_request_duration_us": "Time to answer, cached answers included, in microseconds.",
    "nv_inference_compute_infer_duration_us": "Time of model runs on demand, in microseconds.",
    "nv_cache_num_hits_per_model": "Keys answered from memory or the replica.",
    "nv_cache_num_misses_per_model": "Keys answered otherwise.",
    "nv_cache_hit_duration_per_model": "Time to answer from memory or the replica, in microseconds.",
}


class TritonCollector(Collector):
    """Shows one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """All metric families."""
        values = self._by_model()
        for name, text in _TEXTS.items():
            family = UnknownMetricFamily(name, text, labels=("model", "version"))
            for model, numbers in values.items():
                family.add_metric((model, _VERSION), numbers.get(name, 0))
            yield family
        yield self._failures()

    def _by_model(self) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {}

        def add(model: str, name: str, value: float) -> None:
            numbers = found.setdefault(model, {})
            numbers[name] = numbers.get(name, 0) + value

        for (model, tier), durations in self._snapshot.by_tier().items():
            count, took_us = durations.count, durations.total_ns / 1000
            add(model, "nv_inference_request_success", count)
            add(model, "nv_inference_request_duration_us", took_us)
            if tier in CACHED:
                add(model, "nv_cache_num_hits_per_model", count)
                add(model, "nv_cache_hit_duration_per_model", took_us)
            else:
                add(model, "nv_cache_num_misses_per_model", count)
        for (model, what), number in self._snapshot.computed.items():
            name, unit = _COMPUTED[what]
            add(model, name, number / unit)
        return found

    def _failures(self) -> Metric:
        text = "Keys not answered, by reason."
        family = UnknownMetricFamily("nv_inference_request_failure", text, labels=("model", "version", "reason"))
        counts: dict[tuple[str, str], int] = {}
        for (model, status), count in self._snapshot.errors.items():
            reason = _REASONS.get(status, "OTHER")
            counts[model, reason] = counts.get((model, reason), 0) + count
        for (model, reason), count in counts.items():
            family.add_metric((model, _VERSION, reason), count)
        return family


#: Triton's names for what a snapshot holds as computed, and how much of it makes one of theirs.
_COMPUTED = {
    "rows": ("nv_inference_count", 1),
    "batches": ("nv_inference_exec_count", 1),
    "cpu_ns": ("nv_inference_compute_infer_duration_us", 1000),
}


def errors_by_model(snapshot: Snapshot) -> Mapping[str, int]:
    """Keys not answered."""
    counts: dict[str, int] = {}
    for (model, _), count in snapshot.errors.items():
        counts[model] = counts.get(model, 0) + count
    return counts
