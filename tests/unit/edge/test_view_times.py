"""Whether changes are known in time."""

from __future__ import annotations

from edge.view_times import ViewTimes
from precompute.views import View


def test_a_change_is_in_time_if_it_is_known_within_the_views_sla() -> None:
    """To the millisecond; records come oldest first."""
    times = ViewTimes([View("weather", "airport", (), sla_s=2.0)])

    times.read("weather", [(b"1000-0", []), (b"7999-5", []), (b"8000-0", []), (b"9000-0", [])], wall_ms=10_000)
    times.read("weather", [(b"9999-0", [])], wall_ms=10_000)

    assert times.counts() == {("weather", "updates"): 5, ("weather", "updates_within_sla"): 3}


def test_a_clock_that_is_behind_makes_nothing_late() -> None:
    """The primary's and ours need not agree to the millisecond."""
    times = ViewTimes([View("weather", "airport", (), sla_s=2.0)])

    times.read("weather", [(b"20000-0", [])], wall_ms=10_000)

    assert times.within_sla == {"weather": 1}


def test_views_without_an_sla_are_not_counted() -> None:
    """Nobody has said what late is; a log that is no view's has none either."""
    times = ViewTimes([View("weather", "airport", ())])

    times.read("weather", [(b"1000-0", [])], wall_ms=10_000)
    times.read("!", [(b"1000-0", [])], wall_ms=10_000)

    assert times.counts() == {}
