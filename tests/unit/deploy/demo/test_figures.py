"""Tests of the last line of a run."""

from __future__ import annotations

import json
from typing import Any, cast

from deploy.demo.events import Departure
from deploy.demo.figures import figures
from deploy.demo.probes import Probes
from deploy.demo.replay import Replay, SimulatedClock
from precompute.features import Features

AUDITED: dict[str, Any] = {"samples": 40, "falsely_fresh": 1, "wrong": 2, "not_forgotten": 0, "correct": 37}


def replay() -> Replay:
    """A replay in which nothing has happened yet."""
    return Replay(cast(Features, None), [], [], SimulatedClock(0.0, 1.0), 100.0)


def test_a_run_comes_to_one_line_of_json() -> None:
    """With what lay ready, what that cost, how fast changes took, and what the audit found."""
    run = replay()
    flights = [Departure(f"UA{late}:EWR:N1", f"UA{late}", "EWR", "IAH", 600, 600, late) for late in (True, False)]
    for flight, tier in zip(flights, ("memory", "live"), strict=True):
        run.board.answered(flight, 0.0, tier, 0.75 if flight.late else 0.25, 0.002)
    probes = Probes(to_stale_s=[0.001, 0.003], to_refreshed_s=[0.08])

    found = figures(run, {"precomputed": 5, "refreshed": 2, "failed": 9}, probes, AUDITED)

    assert found == json.loads(json.dumps(found))
    assert (found["fresh_hit_ratio"], found["off_path_rows_per_request"]) == (0.5, 3.5)
    assert (found["update_to_stale_p99_ms"], found["update_to_refreshed_p99_ms"]) == (2.98, 80.0)
    assert (found["followed_updates"], found["audited"], found["falsely_fresh"]) == (3, 40, 3)
    assert (found["auc"], found["p99_ms"], found["errors"]) == (1.0, 2.0, 0)


def test_what_could_not_be_measured_is_null() -> None:
    """NaN is no JSON."""
    found = figures(replay(), {}, Probes(), AUDITED)

    assert json.loads(json.dumps(found, allow_nan=False))["update_to_stale_p99_ms"] is None
    assert found["auc"] is found["p99_ms"] is None
