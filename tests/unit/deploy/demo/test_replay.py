"""Tests of the replay's clock and of how events become rows."""

from __future__ import annotations

import time
from typing import cast

import pytest

from deploy.demo.events import FeatureEvent
from deploy.demo.replay import SimulatedClock, put_events
from deploy.demo.tables import unix_s
from precompute.features import Features, PutResult, Row


class Stored:
    """Stands in for a store: keeps what is put, and counts every row but late ones as written."""

    def __init__(self, rejected: str = "") -> None:
        self.batches: list[tuple[str, list[Row]]] = []
        self._rejected = rejected

    def put(self, view: str, rows: list[Row]) -> PutResult:
        """Keeps the rows."""
        self.batches.append((view, rows))
        rejected = [(0, self._rejected)] if self._rejected else []
        return PutResult(written=len(rows) - 1, unchanged=1, rejected=rejected)


def event(view: str, entity: str, minute: int = 5) -> FeatureEvent:
    """A change at a minute."""
    return FeatureEvent(minute, view, entity, {"temp": 1.0})


def test_minutes_pass_as_fast_as_asked() -> None:
    """Twenty a second is a day in 72 seconds."""
    clock = SimulatedClock(start_min=300.0, speed=20.0, started_s=time.monotonic() - 60.0)

    assert clock.minute() == pytest.approx(300.0 + 20.0 * 60.0, abs=20.0)


def test_events_of_a_view_are_stored_together() -> None:
    """One round trip for each view, in the order of events."""
    stored = Stored()
    events = [event("weather", "EWR"), event("plane", "N1"), event("weather", "JFK", minute=6)]

    changed = put_events(cast(Features, stored), events)

    weather, plane = stored.batches
    assert (weather[0], [row.entity for row in weather[1]]) == ("weather", ["EWR", "JFK"])
    assert (plane[0], [row.entity for row in plane[1]]) == ("plane", ["N1"])
    assert [row.event_ms for row in weather[1]] == [int(unix_s(5) * 1000), int(unix_s(6) * 1000)]
    assert changed == 1


def test_a_row_of_the_demo_that_is_rejected_is_our_mistake() -> None:
    """It ends the demo instead of being left out."""
    with pytest.raises(ValueError, match=r"weather: temp is text"):
        put_events(cast(Features, Stored(rejected="temp is text")), [event("weather", "EWR")])
