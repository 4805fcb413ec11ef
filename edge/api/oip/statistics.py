"""What a node has counted, in the shape of Triton's statistics.

Answers are counted by model and variant, so a version is told what its variant has answered. Failures and what was
computed are counted by model only, and stand in a model's own statistics.
"""

from __future__ import annotations

from collections.abc import Iterable

from edge.api.oip.shapes import Duration, InferenceStatistics, ModelStatistics
from edge.triton_metrics import CACHED
from precompute.snapshot import Snapshot


def of_model(snapshot: Snapshot, model: str, version: str) -> ModelStatistics:
    """All variants of a model; `version` is that of the default one."""
    computed = {what: number for (name, what), number in snapshot.computed.items() if name == model}
    failed = sum(number for (name, _), number in snapshot.errors.items() if name == model)
    batches = computed.get("batches", 0)
    tiers = [(tier, took.count, took.total_ns) for (name, tier), took in snapshot.by_tier().items() if name == model]
    return ModelStatistics(
        model,
        version,
        computed.get("rows", 0),
        batches,
        _statistics(tiers, failed, Duration(batches, computed.get("cpu_ns", 0))),
    )


def of_variant(snapshot: Snapshot, model: str, variant: str, version: str) -> ModelStatistics:
    """What one variant has answered."""
    tiers = [
        (tier, took.count, took.total_ns)
        for (name, which, tier), took in snapshot.answers.items()
        if (name, which) == (model, variant)
    ]
    return ModelStatistics(model, version, 0, 0, _statistics(tiers, 0, Duration()))


def _statistics(tiers: Iterable[tuple[str, int, int]], failed: int, computed: Duration) -> InferenceStatistics:
    hit, miss = Duration(), Duration()
    for tier, count, ns in tiers:
        one = hit if tier in CACHED else miss
        one.count += count
        one.ns += ns
    return InferenceStatistics(
        success=Duration(hit.count + miss.count, hit.ns + miss.ns),
        fail=Duration(failed),
        queue=Duration(),
        compute_input=Duration(),
        compute_infer=computed,
        compute_output=Duration(),
        cache_hit=hit,
        cache_miss=miss,
    )
