"""Snapshots in Prometheus' form."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from edge.app import Edge
from edge.metrics import COUNTERS, PEAKS, SUMS, SnapshotCollector
from edge.snapshot import Durations, Snapshot
from edge.stats import BUCKETS_S
from precompute import manifest
from precompute.settings import Settings
from tests.small_project import write_project


def shown(snapshot: Snapshot) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Samples by name and labels, as a Prometheus server reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SnapshotCollector(snapshot))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_durations_are_a_histogram_with_running_buckets() -> None:
    """Each bucket holds those below it; the sum is in seconds; requests are those of all buckets."""
    counts = (3, 2, *([0] * (len(BUCKETS_S) - 2)), 1)

    found = shown(Snapshot(answers={("m", "live"): Durations(counts, 1_500_000_000)}))

    labels = (("model", "m"), ("tier", "live"))
    name = "nearcast_request_duration_seconds"
    assert found["nearcast_requests_total", labels] == found[f"{name}_count", labels] == 6
    assert found[f"{name}_sum", labels] == 1.5
    assert found[f"{name}_bucket", (("le", str(BUCKETS_S[1])), *labels)] == 5
    assert found[f"{name}_bucket", (("le", "+Inf"), *labels)] == 6


def test_errors_are_counted_by_model_and_status() -> None:
    """As labels."""
    found = shown(Snapshot(errors={("m", 503): 4}))

    assert found["nearcast_errors_total", (("model", "m"), ("status", "503"))] == 4


def test_whatever_an_edge_counts_is_shown(tmp_path: Path) -> None:
    """A number without a name in the table would be counted for nobody."""
    write_project(tmp_path)
    edge = Edge(manifest.load(tmp_path / "nearcast.toml"), Settings())

    taken = edge.census()

    assert set(taken.counters) == set(COUNTERS)
    assert set(taken.sums) == set(SUMS) - {"processes_silent"}
    assert set(taken.peaks) == set(PEAKS)


def test_an_edge_alone_is_its_own_node() -> None:
    """One process, and nobody silent."""
    found = shown(Snapshot(sums={"processes": 1, "ready": 1}))

    assert (found["nearcast_processes", ()], found["nearcast_processes_silent", ()]) == (1, 0)
