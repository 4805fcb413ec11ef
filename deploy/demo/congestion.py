"""How an airport is doing, every five minutes, from departures only.

A flight adds to the recent departures from the moment it leaves until an hour later, and to the overdue ones
from a quarter of an hour after its schedule until it leaves (or, if cancelled, until we give up on it). Each
figure is thus a sum over spans of time, and one pass of differences and a running sum yields it for all moments.
A span never begins before what it tells has happened, so a row holds nothing of its future.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deploy.demo.tables import AIRPORTS, DAY_MIN, Flights, Floats

STEP_MIN = 5
#: Most figures look back one hour, one looks back three: the first sees a turn, the second a bad day.
RECENT_MIN = 60
SLOW_MIN = 180
OVERDUE_AFTER_MIN = 15
#: The source does not say when a flight was cancelled; after three hours we no longer wait for it.
GIVEN_UP_AFTER_MIN = 180
LATE_MIN = 15
#: One flight that is ten hours late says no more about the next hour than one that is three hours late.
MAX_DELAY_MIN = 180

FIELDS = ("mean_delay", "departures", "late_share", "overdue", "slow_mean_delay", "region_mean_delay")


@dataclass(frozen=True)
class Congestion:
    """The figures as an array [airport, step, field], the first step at `start_min`."""

    start_min: int
    figures: Floats

    def at(self, airports: NDArray[np.intp], at_min: NDArray[Any]) -> Floats:
        """The latest rows known at each moment, shape [N, fields]."""
        steps = (at_min - self.start_min) // STEP_MIN
        rows: Floats = self.figures[airports, np.clip(steps, 0, self.figures.shape[1] - 1)]
        return rows


def measure(flights: Flights) -> Congestion:
    """The congestion of all airports over the days that `flights` cover."""
    start_min = int(flights.sched_min.min()) // DAY_MIN * DAY_MIN
    steps = (int(flights.sched_min.max()) // DAY_MIN + 1) * DAY_MIN // STEP_MIN - start_min // STEP_MIN
    region = _Spans(flights, start_min, steps).mean_delay(RECENT_MIN)
    figures = [
        np.column_stack([_airport(_Spans(flights.take(flights.origin == airport), start_min, steps)), region])
        for airport in AIRPORTS
    ]
    return Congestion(start_min, np.stack(figures).astype(np.float32))


class _Spans:
    """Sums over spans of time in the life of some flights, at every step."""

    def __init__(self, flights: Flights, start_min: int, steps: int) -> None:
        self._steps = steps
        self._sched = flights.sched_min - start_min
        self._departed = flights.departed_min() - start_min
        self._delay = np.clip(np.nan_to_num(flights.dep_delay), None, MAX_DELAY_MIN)

    def departures(self, within_min: int, weight: NDArray[Any] | float = 1.0) -> NDArray[np.float64]:
        """The summed weights of the departures of the last minutes."""
        return _sum_of_spans(self._departed, self._departed + within_min, weight, self._steps)

    def mean_delay(self, within_min: int) -> NDArray[np.float64]:
        """Mean delay of the departures of the last minutes, 0 if there were none."""
        return self.departures(within_min, self._delay) / np.maximum(self.departures(within_min), 1)

    def late_share(self, within_min: int) -> NDArray[np.float64]:
        """Share of these that left late."""
        late = self.departures(within_min, self._delay > LATE_MIN)
        return late / np.maximum(self.departures(within_min), 1)

    def overdue(self) -> NDArray[np.float64]:
        """Flights past their schedule that have not left."""
        begin = self._sched + OVERDUE_AFTER_MIN
        end = np.minimum(self._departed, self._sched + GIVEN_UP_AFTER_MIN)
        return _sum_of_spans(begin, np.maximum(begin, end), 1.0, self._steps)


def _airport(spans: _Spans) -> NDArray[np.float64]:
    columns = (
        spans.mean_delay(RECENT_MIN),
        spans.departures(RECENT_MIN),
        spans.late_share(RECENT_MIN),
        spans.overdue(),
        spans.mean_delay(SLOW_MIN),
    )
    return np.column_stack(columns)


def _sum_of_spans(
    begin: NDArray[Any], end: NDArray[Any], weight: NDArray[Any] | float, steps: int
) -> NDArray[np.float64]:
    """At each step, the weights of the spans [begin, end) that contain it."""
    changes = np.zeros(steps + 1)
    for moment, sign in ((begin, 1.0), (end, -1.0)):
        first_step = np.clip(np.ceil(moment / STEP_MIN), 0, steps).astype(np.intp)
        np.add.at(changes, first_step, sign * weight)
    return np.cumsum(changes)[:steps]
