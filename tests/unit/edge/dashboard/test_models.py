"""Models, as the dashboard has them."""

from __future__ import annotations

import msgspec
import pytest

from edge.dashboard.models import commands, models
from precompute import manifest
from precompute.durations import Durations
from precompute.registry import Version
from precompute.rollout_note import RolloutNote, write_command
from precompute.snapshot import Snapshot
from precompute.updates import Reply
from tests.unit.edge.rig import MANIFEST

TEXT = MANIFEST.replace("POLICY }", "}\nvariants = { default = { quality = 0.7 }, fast = { quality = 0.6 } }")
PROJECT = manifest.parse(TEXT)


def replies(note: RolloutNote | None = None) -> list[Reply]:
    """Two versions of `default`, of which the older one serves; nothing of `fast`."""
    versions = [msgspec.json.encode(Version(number, "default", "sha", 1, 1)) for number in (1, 2)]
    return [[b"default", b"1"], versions, None if note is None else write_command("score", note)[2]]


def test_shares_are_of_all_answers_and_latencies_of_those_computed() -> None:
    """Hits of one variant are as fast as those of another."""
    counted = Snapshot(
        answers={
            ("score", "default", "memory"): Durations({1: 60}),
            ("score", "default", "live"): Durations({100: 15}),
            ("score", "fast", "live"): Durations({50: 25}),
        }
    )

    default, fast = models(PROJECT, replies(), counted)

    assert (default.share, fast.share, default.quality, fast.quality) == (0.75, 0.25, 0.7, 0.6)
    assert default.p50_ms == default.p99_ms > (fast.p50_ms or 0) > 0
    assert (default.version, default.versions) == (1, [2, 1])
    assert (fast.version, fast.versions) == (None, [])


def test_a_rollout_is_shown_at_its_variant() -> None:
    """How warm the version is that is to come."""
    default, fast = models(PROJECT, replies(RolloutNote("default", 2, 0.6, 5)), Snapshot())

    assert default.rollout is not None
    assert (default.rollout.version, default.rollout.warm) == (2, 0.6)
    assert fast.rollout is None


@pytest.mark.parametrize("field", ["share", "p50_ms", "p95_ms", "p99_ms"])
def test_without_answers_nothing_is_known(field: str) -> None:
    """Which is no zero."""
    assert [getattr(state, field) for state in models(PROJECT, replies(), Snapshot())] == [None, None]


def test_what_is_asked_fits_what_is_read() -> None:
    """Three commands for each model."""
    assert len(commands(PROJECT)) == len(replies()) * len(PROJECT.models)
