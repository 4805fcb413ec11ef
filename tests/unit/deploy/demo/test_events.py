from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from deploy.demo.events import Day
from deploy.demo.features import FEATURES, VIEWS, Features
from deploy.demo.tables import minute_of

BAD_DAY = date(2013, 10, 7)
CHECKED_HOURS = (0, 7, 12, 17, 22)


@pytest.fixture(scope="module")
def day(known):
    """The worst day of the window."""
    return Day(known, BAD_DAY)


def stored(day, minute):
    """What a store holds after all events up to a minute."""
    rows = {(event.view, event.entity): event.values for event in day.initial()}
    rows |= {(event.view, event.entity): event.values for event in day.events() if event.minute <= minute}
    return rows


def served(rows, departure):
    """The feature row that the manifest's views make of stored rows, NaN where a row is missing."""
    flight, origin, plane = departure.key.split(":")
    entities = {"flight": flight, "plane": plane, "weather": origin, "congestion": origin, "live": flight}
    found = {view: rows.get((view, entity), {}) for view, entity in entities.items()}
    return [found[view].get(field, np.nan) for view, names in VIEWS.items() for field in names]


@pytest.mark.parametrize("hour", CHECKED_HOURS)
def test_stored_events_make_the_rows_of_training(known, day, hour):
    """At any minute, the rows in the store give every flight the features that training would give it."""
    minute = day.start_min + hour * 60 + 3
    departures = day.departures()
    names = known.window.flights.flight.tolist()
    rows = np.array([names.index(departure.flight) for departure in departures])

    from_store = stored(day, minute)

    answer = np.array([served(from_store, departure) for departure in departures], dtype=np.float32)
    expected = known.matrix(rows, np.full(len(rows), minute))
    np.testing.assert_array_equal(expected, answer)


@pytest.mark.parametrize("hour", CHECKED_HOURS)
def test_events_never_know_the_future(known, day, hour):
    """Whatever happens after a minute, the events up to it are the same."""
    now = day.start_min + hour * 60
    flights, weather = known.window.flights, known.window.weather
    later = flights.departed_min() > now
    delayed = np.maximum(now + 1 - flights.sched_min, flights.dep_delay[::-1]).astype(np.float32)
    other = replace(
        known.window,
        flights=replace(
            flights,
            dep_delay=np.where(later, delayed, flights.dep_delay),
            arr_delay=flights.arr_delay[::-1],
        ),
        weather=replace(weather, temp=np.where(weather.known_min > now, np.float32(-40), weather.temp)),
    )

    changed = Day(Features(other), BAD_DAY)

    told = [event for event in day.events() if event.minute <= now]
    told_otherwise = [event for event in changed.events() if event.minute <= now]
    assert comparable(day.initial()) == comparable(changed.initial())
    assert comparable(told) == comparable(told_otherwise)


def comparable(events):
    """Events in an order and form in which NaN equals NaN."""
    return sorted(repr(event) for event in events)


def test_events_come_in_order_and_carry_whole_rows(day):
    """Time never runs backwards, and a row is never half a row."""
    events = day.events()

    minutes = [event.minute for event in events]
    assert sorted(minutes) == minutes
    assert minutes[0] > day.start_min
    assert {"plane", "weather", "congestion", "live"} == {event.view for event in events}
    assert all(set(VIEWS[event.view]) == set(event.values) for event in events)


def test_the_first_rows_hold_the_flights_and_what_identifies_them(day):
    """All keys can be read from the flight rows: the entity, its origin and its plane."""
    rows = [event for event in day.initial() if event.view == "flight"]

    keys = [f"{row.entity}:{row.values['origin']}:{row.values['tailnum']}" for row in rows]

    assert [departure.key for departure in day.departures()] == keys
    assert len(set(keys)) == len(keys)


def test_every_airport_has_weather_and_congestion_from_the_start(day):
    """A day can be replayed from its first minute."""
    rows = {(event.view, event.entity) for event in day.initial()}

    assert {(view, airport) for view in ("weather", "congestion") for airport in ("EWR", "JFK", "LGA")} <= rows


def test_departures_tell_the_truth(known, day):
    """A departure is late if it arrived over 15 minutes late, and unscored if it never arrived."""
    flights = known.window.flights
    start = minute_of(BAD_DAY)
    arrived = flights.arr_delay[(flights.sched_min >= start) & (flights.sched_min < start + 1440)]

    truth = [departure.late for departure in day.departures()]

    assert [None if np.isnan(delay) else bool(delay > 15) for delay in arrived] == truth
    assert {True, False, None} == set(truth)


def test_a_cancelled_flight_never_departs(day):
    """It waits, and no event says that it left."""
    cancelled = {departure.flight for departure in day.departures() if departure.departed_min is None}

    reports = [event for event in day.events() if event.view == "live" and event.entity in cancelled]

    assert cancelled
    assert all(np.isnan(event.values["dep_delay"]) for event in reports)


def test_the_number_of_features_is_that_of_the_views():
    """No view has a field that the model does not read."""
    assert sum(map(len, VIEWS.values())) == len(FEATURES)
