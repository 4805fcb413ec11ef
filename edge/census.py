"""What one edge process has counted up to now, read from the plain numbers that its parts keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edge.own_memory import limit_bytes, resident_bytes
from edge.variant_notes import open_breakers
from precompute.snapshot import Snapshot

if TYPE_CHECKING:
    from edge.app import Edge
    from edge.stats import Stats

_COMPUTED = ("rows", "batches", "cpu_ns")


def census(edge: Edge) -> Snapshot:
    """Everything that is exported; counting itself costs a request nothing but additions."""
    stats = edge.stats
    return Snapshot(
        answers={(m, variant, str(tier)): took.taken() for (m, variant, tier), took in stats.all_answers().items()},
        errors=dict(stats.errors),
        of_which=_of_which(stats),
        computed={(m, what): getattr(work, what) for m, work in edge.live.work.items() for what in _COMPUTED},
        routed=dict(edge.auto.routed),
        views=edge.view_times.counts(),
        timings={"age": stats.ages.taken(), "update_to_stale": edge.follower.delays.taken()},
        counters=_counters(edge),
        open_breakers=open_breakers(edge.serving.sleepers()),
        sums=_sums(edge),
        peaks=_peaks(edge),
    )


def _of_which(stats: Stats) -> dict[tuple[str, str], int]:
    parts: Mapping[str, Mapping[str, int]] = {"not_modified": stats.not_modified, "shed": stats.shed}
    return {(model, what): count for what, counts in parts.items() for model, count in counts.items()}


def _counters(edge: Edge) -> dict[str, int]:
    stats, live, back, follower = edge.stats, edge.live, edge.write_back, edge.follower
    return {
        "not_modified": sum(stats.not_modified.values()),
        "replica_failures": stats.replica_failures,
        "corrupt_entries": stats.corrupt_entries,
        "corrupt_entries_set_aside": edge.damaged.set_aside,
        "corrupt_entries_dropped": edge.damaged.dropped,
        "absent_hits": edge.ladder.absent.hits,
        "revalidations": stats.revalidations,
        "revalidations_shed": stats.revalidations_shed,
        "memory_evictions": edge.memory.evictions,
        "foreseen_in_vain": stats.foreseen_in_vain,
        "live_rows": live.rows,
        "live_batches": live.batches,
        "live_thread_batches": live.in_threads,
        "write_backs": back.written,
        "write_backs_dropped": back.dropped,
        "write_backs_refused": back.refused,
        "hot_windows_dropped": edge.hot.dropped,
        "exposures": edge.exposures.written,
        "exposures_dropped": edge.exposures.dropped,
        "experiments_unready": edge.experiments.unready,
        "telemetry_buckets": edge.telemetry.written,
        "telemetry_buckets_dropped": edge.telemetry.dropped,
        "model_loads": edge.serving.loads.loaded,
        "models_let_go": edge.serving.loads.let_go,
        "model_runs_ended": edge.serving.runs.ended,
        "routing_probes": edge.probes.begun,
        "routing_probes_failed": edge.probes.failed,
        "routing_profiles_dropped": edge.measured.dropped,
        "variant_notes_dropped": edge.variant_notes.dropped,
        "log_records": follower.records,
        "log_records_damaged": follower.damaged,
        "follower_restarts": follower.restarts,
    }


def _sums(edge: Edge) -> dict[str, int]:
    return {
        "memory_entries": len(edge.memory),
        "memory_bytes": edge.memory.bytes,
        "memory_max_bytes": edge.memory.max_bytes,
        "model_memory_bytes": edge.serving.loads.bytes,
        "model_memory_max_bytes": edge.serving.loads.max_bytes,
        "live_waiting": edge.live.waiting,
        "write_backs_waiting": edge.write_back.waiting,
        "ready": int(edge.ready),
        "resident_memory_bytes": resident_bytes(),
        "processes": 1,
    }


def lags(edge: Edge) -> dict[str, float]:
    """How far this process is behind, which a look now and then would miss the worst of."""
    return {
        "replica_lag_seconds": edge.follower.lag_s(),
        "follower_lag_seconds": edge.follower.unread_s(),
    }


def _peaks(edge: Edge) -> dict[str, float]:
    return {
        **lags(edge),
        "resident_memory_max_bytes": limit_bytes(),
        "experiments_running": edge.experiments.running,
        "experiments_broken": len(edge.experiments.broken),
        "models_loaded": sum(s.awake is not None for s in edge.serving.sleepers()),
        "models_taken_out": sum(s.is_out() for s in edge.serving.sleepers()),
        "model_failures": len(edge.serving.failures),
    }
