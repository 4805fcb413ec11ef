"""Tests of who asks about which flight."""

from __future__ import annotations

from collections import Counter

from deploy.demo.events import Departure
from deploy.demo.passengers import AFTER_MIN, BEFORE_MIN, Passengers


def departures(count: int, *, every_min: int = 0) -> list[Departure]:
    """Flights, one after the other."""
    return [
        Departure(f"UA{i}:EWR:N{i}", f"UA{i}", "EWR", "IAH", 10_000 + i * every_min, None, None) for i in range(count)
    ]


def test_people_ask_from_six_hours_before_until_an_hour_and_a_half_after() -> None:
    """Outside that, nobody asks about anything."""
    passengers = Passengers(departures(3))

    assert passengers.draw(10_000 - BEFORE_MIN - 5) is None
    assert passengers.draw(10_000 - BEFORE_MIN) is not None
    assert passengers.draw(10_000 + AFTER_MIN) is not None
    assert passengers.draw(10_000 + AFTER_MIN + 5) is None


def test_a_few_flights_draw_most_requests() -> None:
    """The most popular one about as often as the law says, one in the harmonic number."""
    passengers = Passengers(departures(100))

    counts = Counter(flight.key for _ in range(20_000) if (flight := passengers.draw(10_000.0)))

    (_, most), *_ = counts.most_common(1)
    assert 0.17 < most / 20_000 < 0.21  # H(100) is 5.19
    assert len(counts) > 90


def test_the_same_seed_draws_the_same_flights() -> None:
    """So that two runs can be compared."""
    first, second = (Passengers(departures(50), seed=7) for _ in range(2))

    assert [first.draw(10_000.0) for _ in range(20)] == [second.draw(10_000.0) for _ in range(20)]


def test_the_hottest_are_those_that_are_drawn_most() -> None:
    """In order, and only flights that people ask about at that minute."""
    flights = departures(30, every_min=60)
    passengers = Passengers(flights)
    minute = flights[0].sched_min + 600

    hottest = passengers.hottest(minute, 3)
    counts = Counter(flight.key for _ in range(5000) if (flight := passengers.draw(minute)))

    assert [flight.key for flight in hottest] == [key for key, _ in counts.most_common(3)]
    assert {flight.key for flight in passengers.hottest(minute, 1000)} == counts.keys()
    assert passengers.hottest(0.0, 5) == []
