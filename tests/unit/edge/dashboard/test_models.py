"""Models, as the dashboard has them."""

from __future__ import annotations

import msgspec
import pytest

from edge.dashboard import models as shown
from edge.dashboard.models import commands, models
from edge.variant_notes import VariantNote
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

    (default, fast), left_out = models(PROJECT, replies(), counted)

    assert (default.share, fast.share, default.quality, fast.quality) == (0.75, 0.25, 0.7, 0.6)
    assert default.p50_ms == default.p99_ms > (fast.p50_ms or 0) > 0
    assert (default.version, default.versions) == (1, [2, 1])
    assert (fast.version, fast.versions) == (None, [])
    assert left_out == 0


def test_a_rollout_is_shown_at_its_variant() -> None:
    """How warm the version is that is to come."""
    (default, fast), _ = models(PROJECT, replies(RolloutNote("default", 2, 0.6, 5)), Snapshot())

    assert default.rollout is not None
    assert (default.rollout.version, default.rollout.warm) == (2, 0.6)
    assert fast.rollout is None


UNKNOWN = ("share", "p50_ms", "p95_ms", "p99_ms", "expected_ms", "loaded_in", "memory_bytes")


@pytest.mark.parametrize("field", UNKNOWN)
def test_without_answers_nothing_is_known(field: str) -> None:
    """Which is no zero."""
    assert [getattr(state, field) for state in models(PROJECT, replies(), Snapshot())[0]] == [None, None]


def test_what_is_asked_fits_what_is_read() -> None:
    """Three commands for each model."""
    assert len(commands(PROJECT)) == len(replies()) * len(PROJECT.models)


def test_each_tier_has_its_own_latency_and_routing_is_counted() -> None:
    """By variant; a tier that gave no answer has none."""
    counted = Snapshot(
        answers={
            ("score", "default", "memory"): Durations({1: 60}),
            ("score", "default", "live"): Durations({100: 15}),
        },
        routed={("score", "default", "chosen"): 20, ("score", "default", "over_budget"): 3},
    )

    (default, fast), _ = models(PROJECT, replies(), counted)

    tiers = default.tier_p95_ms
    assert tiers["live"] == default.p95_ms
    assert (tiers["live"] or 0) > (tiers["memory"] or 0) > 0
    assert (tiers["replica"], tiers["stale"], tiers["default"]) == (None, None, None)
    assert (default.chosen, default.over_budget, fast.chosen, fast.over_budget) == (20, 3, 0, 0)


def test_processes_are_counted_that_have_a_variant_loaded() -> None:
    """Of those that say so; memory adds up, the slowest is expected; what is only kept ready is not meant."""
    here = [
        VariantNote("score", "default", 1, True, True, 500, 2.5),
        VariantNote("score", "fast", 3, True, False, 0),
        VariantNote("score", "default", 2, False, True, 9_000, 2.5),
    ]
    there = [VariantNote("score", "default", 1, True, True, 700, 4.5)]

    (default, fast), _ = models(PROJECT, replies(), Snapshot(), [here, there])

    assert (default.loaded_in, default.told_by, default.memory_bytes, default.expected_ms) == (2, 2, 1_200, 4.5)
    assert (fast.loaded_in, fast.told_by, fast.memory_bytes, fast.expected_ms) == (0, 1, 0, None)


def test_models_asked_for_least_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """And their variants counted, so that a document stays small."""
    monkeypatch.setattr(shown, "MOST", 3)
    text = TEXT + TEXT[TEXT.index("[models.score]") :].replace("[models.score", "[models.other")
    project = manifest.parse(text)
    counted = Snapshot(answers={("other", "default", "memory"): Durations({1: 1})})

    found, left_out = models(project, [*replies(), *replies()], counted)

    assert [state.model for state in found] == ["other", "other"]
    assert left_out == 2
