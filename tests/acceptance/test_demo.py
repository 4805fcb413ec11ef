"""The demo, as `make demo` runs it: every arrow of the way of the data at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.processes import is_gone
from tests.waiting import wait_until

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]
_FOR_S = 15
_LIMIT_S = 120.0


class Demo:
    """A run of the demo that has ended.

    Attributes:
        started: ids of all processes that were seen below it.
    """

    def __init__(self) -> None:
        self.started: set[int] = set()
        argv = [sys.executable, "-m", "deploy.cli", "demo", "--for", str(_FOR_S), "--json", "--port", "0"]
        with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                wait_until(lambda: self._look(process), _LIMIT_S, "the demo does not end")
            finally:
                process.kill()
            assert process.stdout is not None
            assert process.stderr is not None
            self.out, self.err = process.stdout.read(), process.stderr.read()
        self.status = process.returncode

    def _look(self, process: subprocess.Popen[str]) -> bool:
        try:
            self.started |= {child.pid for child in psutil.Process(process.pid).children(recursive=True)}
        except psutil.NoSuchProcess:
            return True
        return process.poll() is not None

    @property
    def figures(self) -> Mapping[str, Any]:
        """Its last line."""
        found: Mapping[str, Any] = json.loads(self.out.splitlines()[-1])
        return found


@pytest.fixture(scope="module")
def demo() -> Demo:
    """One run for all claims."""
    return Demo()


def test_the_demo_ends_well_and_leaves_nothing_behind(demo: Demo) -> None:
    """Redis twice, worker, scheduler, refresher, edge and audit are gone with it."""
    assert demo.status == 0, demo.err
    assert len(demo.started) >= 7
    wait_until(lambda: all(map(is_gone, demo.started)), 5.0, "a process lives on")


def test_every_request_is_answered_and_every_tier_has_its_part(demo: Demo) -> None:
    """Most answers lay ready, the others were computed, and none failed."""
    figures = demo.figures

    assert figures["errors"] == 0
    assert figures["requests"] > 100
    assert min(figures["tiers"][tier] for tier in ("memory", "replica", "live")) > 0
    assert sum(figures["tiers"].values()) == figures["requests"]
    assert 0 < figures["fresh_hit_ratio"] == figures["hit_ratio"] < 1


def test_predictions_are_made_ahead_of_time_and_again_after_changes(demo: Demo) -> None:
    """And what that has cost is told."""
    figures = demo.figures

    assert figures["precomputed"] > 900
    assert figures["refreshed"] > 0
    assert figures["updates"] > 0
    rows = figures["precomputed"] + figures["refreshed"]
    assert figures["off_path_rows_per_request"] == pytest.approx(rows / figures["requests"], abs=1e-3)


def test_nothing_is_presented_as_fresh_that_is_not(demo: Demo) -> None:
    """The audit has asked while everything changed, and updates were followed to their effect."""
    figures = demo.figures

    assert figures["audited"] > 0
    assert figures["falsely_fresh"] == 0
    assert figures["followed_updates"] > 0
    assert figures["update_to_stale_p99_ms"] > 0
    assert figures["update_to_refreshed_p99_ms"] > 0


def test_the_figures_say_how_good_and_how_fast_the_answers_were(demo: Demo) -> None:
    """The quality is that of real outcomes."""
    figures = demo.figures

    assert 0 < figures["p50_ms"] <= figures["p99_ms"]
    assert 0.5 < figures["auc"] < 1
    assert 0.5 < figures["auc_ttl_cache"] < 1
    assert 0 < figures["log_loss"] < 1
