"""Recomputes keys with what their model serves now, to everybody or to the units of an experiment."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from precompute import work_log
from precompute.durations import Durations, Histogram
from precompute.errors import PermanentError, TransientError
from precompute.sweep import SweepResult
from workers import row_costs, tallies
from workers.chunks import compute, now_ms
from workers.retrying import retrying
from workers.work_counts import WorkCounts
from workers.workplace import Workplace

log = logging.getLogger(__name__)


def refresh_keys(place: Workplace, model: str, keys: Sequence[str], changed_ms: Sequence[int] = ()) -> None:
    """Computes and stores; whatever fails is counted, and found due again by the scheduler.

    Args:
        changed_ms: when what made each key due was changed, in ms since 1970; empty if it was no change.

    Raises:
        TransientError: Redis stayed away.
    """
    try:
        result, repeats = retrying(lambda: _refreshed(place, model, list(keys)))
    except PermanentError as error:
        log.warning("cannot refresh %d keys of %s: %s", len(keys), model, error)
        place.counts.rows(model, 0, len(keys))
        tallies.add(place.store, failed=len(keys))
        return
    except TransientError:
        tallies.add(place.store, transient=1)
        raise
    delays_s = _delays_s(keys, changed_ms, result)
    _count(place.counts, model, result, delays_s)
    place.store.run(work_log.add_commands(now_ms(), result.written, _durations(delays_s)))
    place.counts.retried(repeats)
    tallies.add(place.store, refreshed=result.written, failed=result.failed, retried=repeats)


def _delays_s(keys: Sequence[str], changed_ms: Sequence[int], result: SweepResult) -> dict[float, int]:
    """How long after its change a key has got its prediction, and how many have after so long."""
    done_ms: Iterable[int] = changed_ms
    if result.failures:
        # One task has fewer keys than failures are named.
        failed = {key for key, _ in result.failures}
        done_ms = [since_ms for key, since_ms in zip(keys, changed_ms, strict=False) if key not in failed]
    # Many keys change at once: counted together, one costs 0.05 µs instead of 0.7.
    at_ms, delays_s = now_ms(), Counter[float]()
    for since_ms, times in Counter(done_ms).items():
        # The primary's clock and ours need not agree to the millisecond.
        delays_s[max(0, at_ms - since_ms) / 1000] += times
    return delays_s


def _count(counts: WorkCounts, model: str, result: SweepResult, delays_s: Mapping[float, int]) -> None:
    counts.rows(model, result.written, result.failed)
    for seconds, times in delays_s.items():
        counts.refreshed(model, seconds, times)


def _durations(delays_s: Mapping[float, int]) -> Durations:
    histogram = Histogram()
    for seconds, times in delays_s.items():
        histogram.observe(seconds, times)
    return histogram.taken()


def _refreshed(place: Workplace, model: str, keys: list[str]) -> SweepResult:
    predictors = place.warm(model)
    # Loading a model is not what a row costs.
    began_s, result = time.perf_counter(), SweepResult()
    for predictor in predictors:
        result.add(compute(place, predictor, keys, now_ms))
    row_costs.add(place.store, model, result.written, time.perf_counter() - began_s)
    return result
