"""Views against their SLAs."""

from __future__ import annotations

import pytest

from edge.dashboard.views import rate_per_s, views
from precompute import manifest
from precompute.snapshot import Snapshot
from tests.unit.edge.rig import MANIFEST, NOW_MS

PROJECT = manifest.parse(
    MANIFEST.replace("POLICY", "").replace("[views.thing.fields]", "[views.thing]\nsla_s = 1.0\n[views.thing.fields]")
)


def record(ms_ago: int) -> tuple[bytes, list[bytes]]:
    """A change."""
    return b"%d-0" % (NOW_MS - ms_ago), [b"e", b"x"]


def test_a_burn_says_how_fast_the_budget_is_spent() -> None:
    """Three late of a hundred, where one may be, is three times too fast; without an SLA there is nothing to spend."""
    counted = Snapshot(views={("thing", "updates"): 100, ("thing", "updates_within_sla"): 97})

    thing, place = views(PROJECT, [[record(200), record(900)], []], counted, NOW_MS, 60)

    assert (thing.sla_s, thing.objective, thing.within) == (1.0, 0.99, 0.97)
    assert thing.burn == pytest.approx(3.0)
    assert (thing.last_change_ms, thing.updates_per_s) == (NOW_MS - 200, 2 / 60)
    assert (place.sla_s, place.within, place.burn, place.last_change_ms) == (None, None, None, None)


def test_without_changes_nothing_was_late() -> None:
    """Nor in time: it is not known."""
    thing, _ = views(PROJECT, [[], []], Snapshot(), NOW_MS, 60)

    assert (thing.within, thing.burn, thing.updates_per_s) == (None, None, 0.0)


@pytest.mark.parametrize(
    ("ages_ms", "rate"),
    [([], 0.0), ([1_000, 2_000], 2 / 60), ([1_000, 70_000], 1 / 60), ([10 * n for n in range(1, 101)], 100.0)],
)
def test_a_rate_is_that_of_the_latest_changes(ages_ms: list[int], rate: float) -> None:
    """Of those in the range; where there are more than are looked at, of these."""
    assert rate_per_s([NOW_MS - ago for ago in ages_ms], NOW_MS, 60) == pytest.approx(rate)
