"""Recomputes keys with what their model serves now."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from precompute.errors import PermanentError, TransientError
from precompute.sweep import SweepResult
from workers import row_costs, tallies
from workers.chunks import compute, now_ms
from workers.retrying import retrying
from workers.workplace import Workplace

log = logging.getLogger(__name__)


def refresh_keys(place: Workplace, model: str, keys: Sequence[str]) -> None:
    """Computes and stores; whatever fails is counted, and found due again by the scheduler.

    Raises:
        TransientError: Redis stayed away.
    """
    try:
        result, repeats = retrying(lambda: _refreshed(place, model, list(keys)))
    except PermanentError as error:
        log.warning("cannot refresh %d keys of %s: %s", len(keys), model, error)
        tallies.add(place.store, failed=len(keys))
        return
    except TransientError:
        tallies.add(place.store, transient=1)
        raise
    tallies.add(place.store, refreshed=result.written, failed=result.failed, retried=repeats)


def _refreshed(place: Workplace, model: str, keys: list[str]) -> SweepResult:
    predictor = place.active(model)
    # Loading a model is not what a row costs.
    began_s = time.perf_counter()
    result = compute(place, predictor, keys, now_ms)
    row_costs.add(place.store, model, result.written, time.perf_counter() - began_s)
    return result
