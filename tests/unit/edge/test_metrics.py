"""Snapshots in Prometheus' form."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from edge.app import Edge
from edge.metrics import (
    AGE_BUCKETS_S,
    BUCKETS_S,
    COUNTERS,
    DELAY_BUCKETS_S,
    PEAKS,
    SUMS,
    TIMINGS,
    VIEWS,
    registry_of,
)
from precompute import manifest
from precompute.durations import BOUNDS_S, Durations, Histogram
from precompute.settings import Settings
from precompute.snapshot import Snapshot
from precompute.views import View
from tests.small_project import write_project

Shown = dict[tuple[str, tuple[tuple[str, str], ...]], float]

TIERS = ("memory", "replica", "live", "stale", "default")


def shown(snapshot: Snapshot) -> Shown:
    """Samples by name and labels, as a Prometheus server reads them."""
    return by_name(text_string_to_metric_families(generate_latest(registry_of(snapshot)).decode()))


def by_name(families: Iterable[Metric]) -> Shown:
    """Samples by name and labels."""
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def total(found: Shown, name: str, **labels: str) -> float:
    """The sum of the samples with these labels."""
    return sum(value for (given, has), value in found.items() if given == name and labels.items() <= dict(has).items())


def durations(count: int, total_ns: int = 0) -> Durations:
    """So many, all of them short."""
    return Durations({0: count}, total_ns)


def test_durations_are_a_histogram_with_running_buckets() -> None:
    """Each bucket holds those below it; the sum is in seconds; requests are those of all buckets."""
    counts = {0: 3, BOUNDS_S.index(BUCKETS_S[1]): 2, len(BOUNDS_S): 1}

    found = shown(Snapshot(answers={("m", "v", "live"): Durations(counts, 1_500_000_000)}))

    labels = (("model", "m"), ("tier", "live"))
    name = "nearcast_request_duration_seconds"
    assert found["nearcast_requests_total", (labels[0], ("result", "miss"), labels[1])] == 6
    assert found[f"{name}_count", labels] == 6
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
    assert set(taken.timings) == set(TIMINGS)
    assert {what for _, what in taken.views} <= set(VIEWS)


def test_an_edge_alone_is_its_own_node() -> None:
    """One process, and nobody silent."""
    found = shown(Snapshot(sums={"processes": 1, "ready": 1}))

    assert (found["nearcast_processes", ()], found["nearcast_processes_silent", ()]) == (1, 0)


def test_hits_misses_and_errors_are_all_there_is() -> None:
    """Whichever tier answered, each request is one of the three; errors came from no tier."""
    answers = {("m", "v", tier): durations(10**at) for at, tier in enumerate(TIERS)}

    found = shown(Snapshot(answers=answers, errors={("m", 503): 300_000, ("m", 404): 200_000}))

    by_result = {r: total(found, "nearcast_requests_total", model="m", result=r) for r in ("hit", "miss", "error")}
    assert by_result == {"hit": 1011, "miss": 10_100, "error": 500_000}
    assert total(found, "nearcast_requests_total") == sum(by_result.values())
    assert total(found, "nearcast_requests_total", tier="none") == total(found, "nearcast_errors_total") == 500_000


def test_dashboards_made_for_triton_find_its_names() -> None:
    """With its labels and its units: microseconds, and cached answers apart from those computed."""
    answers = {("m", "v", "memory"): durations(7, 70_000), ("m", "v", "live"): durations(3, 3_000_000)}
    computed = {("m", "rows"): 3, ("m", "batches"): 2, ("m", "cpu_ns"): 500_000}

    found = shown(Snapshot(answers=answers, computed=computed, errors={("m", 503): 1, ("m", 422): 2}))

    labels = (("model", "m"), ("version", "all"))
    assert {name: value for (name, has), value in found.items() if name.startswith("nv_") and has == labels} == {
        "nv_inference_request_success": 10,
        "nv_inference_count": 3,
        "nv_inference_exec_count": 2,
        "nv_inference_request_duration_us": 3070,
        "nv_inference_compute_infer_duration_us": 500,
        "nv_cache_num_hits_per_model": 7,
        "nv_cache_num_misses_per_model": 3,
        "nv_cache_hit_duration_per_model": 70,
    }
    failed = "nv_inference_request_failure"
    assert (total(found, failed, reason="REJECTED"), total(found, failed, reason="OTHER")) == (1, 2)


def test_openmetrics_says_the_same_with_units() -> None:
    """What a newer Prometheus asks for; its parser is strict about names, types and units."""
    snapshot = Snapshot(
        answers={("m", "v", tier): durations(1, 1000) for tier in TIERS},
        errors={("m", 503): 1},
        computed={("m", "rows"): 1},
        peaks={"replica_lag_seconds": float("inf")},
    )

    text = openmetrics.generate_latest(registry_of(snapshot)).decode()

    families = list(openmetrics_parser.text_string_to_metric_families(text))
    assert by_name(families) == shown(snapshot)
    units = {family.name: family.unit for family in families}
    assert units["nearcast_request_duration_seconds"] == units["nearcast_replica_lag_seconds"] == "seconds"
    assert units["nearcast_memory_bytes"] == "bytes"


def test_keys_refused_for_load_are_shown_by_model() -> None:
    """They are errors as well; answers that were not modified are none of them."""
    found = shown(Snapshot(of_which={("m", "shed"): 3, ("m", "not_modified"): 2}))

    assert found["nearcast_requests_shed_total", (("model", "m"),)] == 3


def test_variants_are_counted_whichever_tier_answered_and_whoever_chose() -> None:
    """Their answers, how often routing took them, and of these when nothing fitted."""
    answers = {
        ("m", "fast", "memory"): durations(7),
        ("m", "fast", "live"): durations(2),
        ("m", "best", "live"): durations(1),
    }
    routed = {("m", "fast", "chosen"): 5, ("m", "fast", "over_budget"): 2, ("m", "best", "chosen"): 1}

    found = shown(Snapshot(answers=answers, routed=routed))

    fast, best = (("model", "m"), ("variant", "fast")), (("model", "m"), ("variant", "best"))
    assert [found["nearcast_variant_answers_total", of] for of in (fast, best)] == [9, 1]
    assert [found["nearcast_routing_choices_total", of] for of in (fast, best)] == [5, 1]
    assert total(found, "nearcast_routing_over_budget_total") == 2


def test_an_open_breaker_is_shown_by_variant() -> None:
    """A closed one as well, so that an alert can tell it from one that is not known."""
    found = shown(Snapshot(open_breakers={("m", "fast"): 2, ("m", "best"): 0}))

    assert found["nearcast_breaker_open", (("model", "m"), ("variant", "fast"))] == 2
    assert found["nearcast_breaker_open", (("model", "m"), ("variant", "best"))] == 0


def test_ages_and_delays_are_histograms_of_their_own() -> None:
    """Their bounds are sums of the finer ones, exactly."""
    ages, delays = Histogram(), Histogram()
    for age_s in (0.05, 4.0, 1e6):
        ages.observe(age_s)
    delays.observe(0.003)

    found = shown(Snapshot(timings={"age": ages.taken(), "update_to_stale": delays.taken()}))

    assert found["nearcast_prediction_age_seconds_bucket", (("le", "0.1"),)] == 1
    assert found["nearcast_prediction_age_seconds_bucket", (("le", "5.0"),)] == 2
    assert found["nearcast_prediction_age_seconds_count", ()] == 3
    assert found["nearcast_update_to_stale_seconds_bucket", (("le", "0.002"),)] == 0
    assert found["nearcast_update_to_stale_seconds_bucket", (("le", "0.005"),)] == 1
    assert set(AGE_BUCKETS_S) | set(DELAY_BUCKETS_S) <= set(BOUNDS_S)


def test_views_with_an_sla_show_how_many_changes_came_in_time() -> None:
    """And what that is; what each view has promised lets an alert say how fast its budget burns."""
    views = [View("weather", "airport", (), sla_s=2.0, objective=0.999), View("plane", "plane", ())]
    counts = {("weather", "updates"): 10, ("weather", "updates_within_sla"): 9}

    registry = registry_of(Snapshot(views=counts), views)

    found = by_name(text_string_to_metric_families(generate_latest(registry).decode()))
    assert {name: value for (name, has), value in found.items() if name.startswith("nearcast_view_")} == {
        "nearcast_view_updates_total": 10,
        "nearcast_view_updates_within_sla_total": 9,
        "nearcast_view_sla_seconds": 2,
        "nearcast_view_objective_ratio": 0.999,
    }
