"""Nodes and totals of a range, from what edges have written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge.dashboard.document import Node, Totals
from precompute.history import History
from precompute.series import FRESH_HITS, HITS, Grid, Tally, Work, off_path_rows
from precompute.snapshot import Snapshot
from precompute.snapshot_sum import summed
from precompute.telemetry import SILENT_MS, Source

#: A node's rate is that of its latest buckets, so many at most.
_LATEST = 3
#: A lag beyond this is that of somebody who does not know.
_FOREVER_S = 1e9


def nodes(history: History, sources: Mapping[Source, int], grid: Grid, now_ms: int) -> list[Node]:
    """All nodes that have written in the range: those that are long gone are nobody's business."""
    seen: dict[str, list[int]] = {}
    for source, last_ms in sources.items():
        if last_ms >= grid.first_ms:
            seen.setdefault(source.node, []).append(last_ms)
    return [_node(name, times, history, grid, now_ms) for name, times in sorted(seen.items())]


def _node(name: str, seen_ms: Sequence[int], history: History, grid: Grid, now_ms: int) -> Node:
    processes = sum(now_ms - at <= SILENT_MS for at in seen_ms)
    latest = _latest(history.latest(name), grid) if processes else []
    tally = Tally.of(summed(latest))
    lag_s = max((part.peaks.get("replica_lag_seconds", 0.0) for part in latest[-1:]), default=None)
    return Node(
        node=name,
        processes=processes,
        alive=processes > 0,
        last_seen_ms=max(seen_ms),
        requests_per_s=tally.requests * 1000 / (len(latest) * grid.width.ms) if latest else None,
        hit_ratio=tally.share(HITS),
        lag_s=lag_s if lag_s is not None and lag_s < _FOREVER_S else None,
    )


def _latest(buckets: Mapping[int, Snapshot], grid: Grid) -> list[Snapshot]:
    # While a step is under way, some of its buckets have ended.
    oldest_ms = grid.end_ms - _LATEST * grid.width.ms
    return [buckets[at] for at in sorted(buckets) if at >= oldest_ms][-_LATEST:]


def totals(counted: Snapshot, done: Work) -> Totals:
    """Of the whole range."""
    tally = Tally.of(counted)
    p50, p99, p999 = tally.all_took.quantiles_s(0.5, 0.99, 0.999) or (None, None, None)
    return Totals(
        requests=tally.requests,
        tiers=tally.tiers,
        errors=tally.errors,
        shed=tally.shed,
        hit_ratio=tally.share(HITS),
        fresh_hit_ratio=tally.share(FRESH_HITS),
        off_path_rows_per_request=tally.per_request(off_path_rows(counted, done)),
        p50_ms=_ms(p50),
        p99_ms=_ms(p99),
        p999_ms=_ms(p999),
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
