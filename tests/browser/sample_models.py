"""What a document says of models and experiments: all is well; and, on demand, breakers that are open and more."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]


def models() -> list[Document]:
    """Three variants, of which one is not loaded."""
    return [
        _model("late", "default", 7, 0.81, 0.712, 0.42, chosen=24_310, over_budget=12),
        _model("late", "fast", 4, 0.06, 0.655, 0.05, chosen=1_906, loaded_in=0),
        _model("delay", "default", 3, 0.13, 0.694, 0.31),
    ]


def _model(
    model: str,
    variant: str,
    version: int,
    share: float,
    quality: float,
    p50: float,
    *,
    chosen: int = 0,
    over_budget: int = 0,
    loaded_in: int = 4,
) -> Document:
    times = {"memory": 0.21, "replica": 0.93, "live": p50 * 1.7, "stale": 0.22, "default": None}
    return {
        "model": model,
        "variant": variant,
        "version": version,
        "versions": [version, version - 1],
        "quality": quality,
        "share": share,
        "p50_ms": p50,
        "p95_ms": p50 * 1.7,
        "p99_ms": p50 * 2.6,
        "tier_p95_ms": times,
        "expected_ms": p50 * 1.8,
        "chosen": chosen,
        "over_budget": over_budget,
        "loaded_in": loaded_in,
        "told_by": 4,
        "memory_bytes": loaded_in * 3_400_000,
        "rollout": {"version": version + 1, "warm": 0.62} if (model, variant) == ("late", "default") else None,
    }


def experiments(now_ms: int) -> Document:
    """Two that run, one of them since a moment ago; two that are over."""
    return {
        "running_count": 2,
        "ended_count": 2,
        "running": [
            _experiment(
                "faster",
                now_ms - 7_300_000,
                [
                    _arm("control", "variant default", 0.5, 61_204, 0.4981),
                    _arm("quick", "variant fast", 0.5, 61_877, 0.5019),
                ],
                sample_ratio_p=0.62,
            ),
            _experiment(
                "new-weights",
                now_ms - 4_000,
                [_arm("old", "version 7", 0.9, 41, None), _arm("new", "version 8", 0.1, 3, None)],
                sample_ratio_p=None,
                slice_=(0.5, 0.75),
                records=44,
            ),
        ],
        "ended": [
            _ended("smaller", now_ms - 90_000_000, was_stopped=True),
            _ended("winter", now_ms - 900_000_000, was_stopped=False),
        ],
        "broken": {},
    }


def troubled(now_ms: int) -> Document:
    """One whose arms do not get what they should, one that does not go with the project, and many more."""
    found = experiments(now_ms)
    odd = {**found["running"][0], "sample_ratio_p": 0.00002, "is_mismatch": True}
    why = "model: no model 'later'; there are: late, delay"
    return {**found, "running": [odd], "running_count": 3, "broken": {"misspelt": why}}


def breakers(now_ms: int) -> list[Document]:
    """Open, given up and on trial."""
    failed = "the model failed: [ONNXRuntimeError] : 2 : INVALID_ARGUMENT : indices element out of data bounds, idx=7"
    return [
        _breaker("late", "fast", 4, "ended", now_ms - 912_000, "loading it did not end"),
        _breaker("late", "default", 7, "open", now_ms - 41_000, failed),
        _breaker("delay", "default", 3, "trial", now_ms - 8_000, "a run was ended after 10 s"),
    ]


def _breaker(model: str, variant: str, version: int, state: str, since_ms: int, why: str) -> Document:
    where = {"node": "edge-fra:8300", "process": 1, "version": version, "opened": 3}
    return {"model": model, "variant": variant, **where, "state": state, "since_ms": since_ms, "why": why}


def _experiment(
    name: str,
    start_ms: int,
    arms: list[Document],
    *,
    sample_ratio_p: float | None,
    slice_: tuple[float, float] = (0.0, 1.0),
    records: int = 2_000,
) -> Document:
    place = {"model": "late", "layer": "late", "unit": "key.flight", "slice": slice_}
    when = {"start_ms": start_ms, "end_ms": None, "sample": 1.0}
    checked = {"records": records, "sample_ratio_p": sample_ratio_p, "is_mismatch": False}
    return {"name": name, **place, **when, **checked, "arms": arms}


def _arm(name: str, serves: str, share: float, answers: int, seen: float | None) -> Document:
    def about(value: float, spread: float) -> Document:
        return {"estimate": value, "low": value - spread, "high": value + spread}

    return {
        "arm": name,
        "serves": serves,
        "share": share,
        "answers": answers,
        "overrides": 0,
        "units": None if seen is None else round(seen * 1_204),
        "seen": None if seen is None else about(seen, 0.028),
        "hits": None if seen is None else about(0.93, 0.012),
        "mean_ms": None if seen is None else about(0.61, 0.04),
    }


def _ended(name: str, ended_ms: int, *, was_stopped: bool) -> Document:
    answers = {"control": 1_204_331, "quick": 1_199_872}
    return {"name": name, "model": "late", "ended_ms": ended_ms, "was_stopped": was_stopped, "answers": answers}
