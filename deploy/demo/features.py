"""From raw flights to the model's feature rows, for training and replay alike.

Each view has one function that gives its fields as columns. `matrix` joins them for any (flight, moment) and
uses only what was known at that moment; `events` tells the same rows as a stream of changes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deploy.demo import congestion, rotation
from deploy.demo.rotation import DELAY_RANGE_MIN
from deploy.demo.tables import AIRPORTS, DAY_MIN, Flights, Floats, Texts, Weather, Window

#: Fields of each view, in the order of the columns.
VIEWS: dict[str, tuple[str, ...]] = {
    "flight": (
        *("departs", "weekday", "block_min", "distance", "slack_min", "busy"),
        *("carrier_late", "dest_late", "number_late"),
    ),
    "plane": rotation.FIELDS,
    "weather": (
        *("temp", "dewp", "humid", "wind_speed", "wind_gust", "wind_north", "wind_east"),
        *("precip", "pressure", "visib"),
    ),
    "congestion": congestion.FIELDS,
    "live": ("dep_delay", "waiting"),
}

#: The model's input, in order.
FEATURES = tuple(f"{view}.{field}" for view, names in VIEWS.items() for field in names)

#: Minutes between two reports about a flight that waits past its schedule.
WAITING_STEP_MIN = 10
#: A flight competes for the runway with those scheduled up to half an hour before and after it.
_BUSY_MIN = 30
# Speed over ground that schedules assume, and what taxiing adds; slack is what they allow beyond that.
_MILES_PER_MIN = 7.5
_TAXI_MIN = 45.0


def flight_rows(flights: Flights) -> Floats:
    """View `flight`, one row per flight: shape [flights, fields].

    `departs` is in hours of the day, Monday is weekday 0, `busy` counts the airport's departures around it.
    """
    columns = (
        flights.sched_min % DAY_MIN / 60,
        (flights.sched_min // DAY_MIN + 1) % 7,
        flights.block_min,
        flights.distance,
        flights.block_min - _TAXI_MIN - flights.distance / _MILES_PER_MIN,
        _busy(flights),
        flights.carrier_late,
        flights.dest_late,
        flights.number_late,
    )
    return np.column_stack(columns).astype(np.float32)


def _busy(flights: Flights) -> NDArray[np.int64]:
    count = np.zeros(len(flights), dtype=np.int64)
    for airport in AIRPORTS:
        here = np.flatnonzero(flights.origin == airport)
        sched_min = flights.sched_min[here]
        first = np.searchsorted(sched_min, sched_min - _BUSY_MIN)
        count[here] = np.searchsorted(sched_min, sched_min + _BUSY_MIN) - first
    return count


def weather_rows(weather: Weather) -> Floats:
    """View `weather`, one row per observation: shape [observations, fields]."""
    return np.column_stack([getattr(weather, name) for name in VIEWS["weather"]])


def live_rows(flights: Flights, at_min: NDArray[Any]) -> Floats:
    """View `live` at each flight's moment: shape [flights, fields].

    A flight has no row before its schedule, then `waiting` (minutes past schedule, as last reported) until it
    leaves, and from then on `dep_delay`; the other field is NaN.
    """
    departed = flights.departed_min() <= at_min
    waited = (at_min - flights.sched_min) // WAITING_STEP_MIN * WAITING_STEP_MIN
    dep_delay = np.where(departed, flights.dep_delay, np.nan)
    waiting = np.where(~departed & (waited >= 0), waited, np.nan)
    rows: Floats = np.clip(np.column_stack([dep_delay, waiting]), *DELAY_RANGE_MIN).astype(np.float32)
    return rows


class Features:
    """Feature rows of one window's flights at any moment."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.flight = flight_rows(window.flights)
        self.rotation = rotation.Rotation(window.planes, window.flights)
        self.weather = weather_rows(window.weather)
        self.congestion = congestion.measure(window.flights)
        self._airport = _positions(AIRPORTS, window.flights.origin)

    def matrix(self, rows: NDArray[np.intp], at_min: NDArray[Any]) -> Floats:
        """What was known of flights `rows` at the minutes `at_min`: shape [N, len(FEATURES)], float32."""
        views = (
            self.flight[rows],
            self.rotation.rows(self.window.flights.tailnum[rows], at_min),
            self._weather_at(self._airport[rows], at_min),
            self.congestion.at(self._airport[rows], at_min),
            live_rows(self.window.flights.take(rows), at_min),
        )
        return np.hstack(views)

    def _weather_at(self, airports: NDArray[np.intp], at_min: NDArray[Any]) -> Floats:
        found = np.full((len(airports), self.weather.shape[1]), np.nan, dtype=np.float32)
        for index, airport in enumerate(AIRPORTS):
            here = np.flatnonzero(self.window.weather.airport == airport)
            asked = np.flatnonzero(airports == index)
            latest = np.searchsorted(self.window.weather.known_min[here], at_min[asked], side="right") - 1
            found[asked[latest >= 0]] = self.weather[here[latest[latest >= 0]]]
        return found


def _positions(known: tuple[str, ...], wanted: Texts) -> NDArray[np.intp]:
    places = {text: place for place, text in enumerate(known)}
    return np.array([places[text] for text in wanted], dtype=np.intp)
