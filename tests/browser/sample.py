"""A document as `GET /dashboard/data` gives it: a fleet at work, with a gap and one thing that is not well."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tests.browser import sample_models

Document = dict[str, Any]

STEP_S = 5
NOW_MS = 1_790_000_000_000
NODES = ("edge-fra:8300", "edge-iad:8300")
#: Where nobody wrote, as shares of the range.
GAP = (0.55, 0.62)
TIERS = {"memory": 2480.0, "replica": 530.0, "live": 160.0, "stale": 24.0, "default": 3.0}
LATENCIES_MS = {"memory": (0.09, 0.21, 0.42, 1.1), "replica": (0.55, 0.9, 1.6, 3.4), "live": (1.4, 2.9, 4.8, 11.0)}
HOSTILE_KEY = "<script>document.title='owned'</script>:EWR"


def document(
    *, range_s: int = 900, step_s: int = STEP_S, now_ms: int = NOW_MS, node: str | None = None, tick: int = 0
) -> Document:
    """The numbers over `range_s`; `tick` moves the curves on, so that each document differs from the one before."""
    count = min(range_s // step_s, 360)
    step_s = range_s // count
    times = [now_ms - (count - i) * step_s * 1000 for i in range(count)]
    nodes = [_node(name, now_ms) for name in NODES]
    share = 1.0 if node is None else 0.5
    return {
        "now_ms": now_ms,
        "range_s": range_s,
        "step_s": step_s,
        "times_ms": times,
        "nodes": nodes,
        "series": _series(count, tick, share),
        "totals": _totals(range_s, share),
        **_tables(now_ms),
    }


def _node(name: str, now_ms: int) -> Document:
    rates = {"requests_per_s": 1598.0, "hit_ratio": 0.941, "lag_s": 0.021}
    return {"node": name, "processes": 2, "alive": True, "last_seen_ms": now_ms - 2000, **rates}


def _curve(count: int, tick: int) -> Callable[..., list[float | None]]:
    low, high = (int(count * share) for share in GAP)

    def curve(base: float, swing: float = 0.12, phase: float = 0.0) -> list[float | None]:
        values: list[float | None] = []
        for i in range(count):
            at = (i + tick) / max(count, 60) * 6.3
            noise = math.sin(at * 17 + phase * 5) * 0.3 + math.sin(at * 31 + phase) * 0.2
            value = base * (1 + swing * (math.sin(at * 2 + phase) + noise))
            values.append(None if low <= i < high else round(value, 4))
        return values

    return curve


def _series(count: int, tick: int, share: float) -> Document:
    curve = _curve(count, tick)
    quantiles = ("p50", "p95", "p99", "p999")
    return {
        "requests_per_s": {t: curve(v * share, phase=i * 1.3) for i, (t, v) in enumerate(TIERS.items())},
        "errors_per_s": curve(0.4 * share, 0.6),
        "shed_per_s": [None if value is None else 0.0 for value in curve(1.0)],
        "hit_ratio": curve(0.941, 0.012),
        "fresh_hit_ratio": curve(0.931, 0.014, 1.0),
        "off_path_rows_per_request": curve(1.9, 0.1),
        "p99_ms": curve(1.84, 0.2, 0.4),
        "latency_ms": {
            tier: {q: curve(v, 0.18, i + 0.5) for i, (q, v) in enumerate(zip(quantiles, values, strict=True))}
            for tier, values in LATENCIES_MS.items()
        },
        "replica_lag_s": curve(0.021, 0.4),
        "follower_lag_s": curve(0.006, 0.4, 2.0),
        "update_to_stale_ms": {"p50": curve(1.1, 0.2), "p99": curve(4.2, 0.3, 1.0)},
        "update_to_refreshed_ms": {"p50": curve(38.0, 0.2, 2.0), "p99": curve(210.0, 0.3)},
        "age_s": {"p50": curve(42.0, 0.2), "p99": curve(310.0, 0.1, 2.0)},
    }


def _totals(range_s: int, share: float) -> Document:
    counts = {tier: round(rate * share * range_s) for tier, rate in TIERS.items()}
    ratios = {"hit_ratio": 0.9412, "fresh_hit_ratio": 0.9313, "off_path_rows_per_request": 1.92}
    latencies = {"p50_ms": 0.11, "p99_ms": 1.84, "p999_ms": 6.2}
    return {"requests": sum(counts.values()), "tiers": counts, "errors": 41, "shed": 0, **ratios, **latencies}


def _tables(now_ms: int) -> Document:
    return {
        "views": [
            _view("flight", 2.0, 0.9994, 0.06, 41.0, now_ms - 300),
            _view("weather", 5.0, 0.9831, 1.69, 2.4, now_ms - 2_100),
            _view("plane", 60.0, 1.0, 0.0, 0.2, now_ms - 65_000),
        ],
        "hot": [
            _hot("late", "UA1545:EWR:N14228?hour=17", 118.2, 1.31),
            _hot("late", "B6725:JFK:N804JB?hour=17", 96.4, 1.02),
            _hot("late", HOSTILE_KEY, 71.9, 0.74),
            _hot("delay", "DL461:LGA:N668DN", 55.0, 0.98),
            _hot("late", "AA1141:JFK:N619AA?hour=18", 43.7, 1.12),
            _hot("delay", "UA1714:LGA:N24211", 39.1, 0.88),
        ],
        "models": sample_models.models(),
        "models_left_out": 0,
        "experiments": sample_models.experiments(now_ms),
        "jobs": _jobs(now_ms),
        "runs": [{"id": "nightly-0192", "name": "nightly", **_run("running", now_ms - 41_000, None, 640_000)}],
        "workers": [
            {"name": "worker@core-1", "alive": True, "last_progress_ms": now_ms - 900, "rows_per_s": 15_600.0},
            {"name": "worker@core-2", "alive": True, "last_progress_ms": now_ms - 1_400, "rows_per_s": 14_900.0},
        ],
        "queues": [
            {"name": "refresh", "depth": 3, "oldest_s": 0.04},
            {"name": "jobs", "depth": 128, "oldest_s": 6.1},
        ],
        "leader": {"name": "core-1", "since_ms": now_ms - 86_000_000},
        "breakers": [],
        "audit": {"at_ms": now_ms - 190_000, "checked": 4000, "falsely_fresh": 0},
        "invalidations": [
            {"at_ms": now_ms - 1_260_000, "what": "model late", "who": "ana@core-1", "why": "bad weather feed"},
            {"at_ms": now_ms - 9_400_000, "what": "weather EWR", "who": "admin token from 10.0.0.7", "why": "sensor"},
        ],
    }


def _view(name: str, sla_s: float, within: float, burn: float, updates: float, changed: int) -> Document:
    promise = {"sla_s": sla_s, "objective": 0.99, "within": within, "burn": burn}
    return {"view": name, **promise, "updates_per_s": updates, "last_change_ms": changed}


def _hot(model: str, key: str, rate: float, trend: float) -> Document:
    return {"model": model, "key": key, "rate_per_s": rate, "trend": trend}


def _jobs(now_ms: int) -> list[Document]:
    def job(name: str, next_ms: int | None, last: Document | None) -> Document:
        return {"name": name, "next_ms": next_ms, "paused": next_ms is None, "last": last}

    return [
        job("nightly", now_ms + 29_000_000, _run("running", now_ms - 41_000, None, 640_000)),
        job("hot-keys", now_ms + 24_000, _run("finished", now_ms - 36_000, now_ms - 34_200, 20_000)),
        job("backfill", None, None),
    ]


def _run(state: str, started: int, ended: int | None, done: int) -> Document:
    total = done if ended else 1_000_000
    counts = {"done": done, "total": total, "rows_per_s": 15_600.0, "failed": 0}
    return {"state": state, "started_ms": started, "ended_ms": ended, **counts}
