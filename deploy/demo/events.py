"""A day of the window as it unfolded: the departures, the rows known in advance, and every change in order.

An event carries the whole row of its view, so that storing events in order leaves, at any minute, exactly the
values that `Features.matrix` gives for that minute.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from deploy.demo import congestion, features, rotation
from deploy.demo.encodings import LATE_MIN
from deploy.demo.features import VIEWS, Features
from deploy.demo.tables import AIRPORTS, DAY_MIN, UNKNOWN_PLANE, Floats, minute_of
from precompute.key_text import join_parts

Values = Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class FeatureEvent:
    """One row of a view, true from `minute` on (minutes as in `tables`)."""

    minute: int
    view: str
    entity: str
    values: Values


@dataclass(frozen=True, slots=True)
class Departure:
    """A flight that people ask about, and what became of it."""

    key: str
    """What its prediction is asked by: `UA1545.1014:EWR:N14228`."""
    flight: str
    origin: str
    dest: str
    sched_min: int
    departed_min: int | None
    late: bool | None
    """The truth: over 15 minutes late. None if it was cancelled or diverted; then it is not scored."""


class Day:
    """One day of the window that `known` was made from.

    The first day of a window lacks what the evening before would add to its congestion and rotations.
    """

    def __init__(self, known: Features, day: date) -> None:
        self.start_min = minute_of(day)
        self.stop_min = self.start_min + DAY_MIN
        sched_min = known.window.flights.sched_min
        self._known = known
        self._rows = np.flatnonzero((sched_min >= self.start_min) & (sched_min < self.stop_min))
        self._flights = known.window.flights.take(self._rows)

    def departures(self) -> list[Departure]:
        """The day's flights, in order of schedule."""
        flights = self._flights
        departed = flights.departed_min()
        return [
            Departure(
                key=join_parts((flights.flight[i], flights.origin[i], flights.tailnum[i])),
                flight=flights.flight[i],
                origin=flights.origin[i],
                dest=flights.dest[i],
                sched_min=int(flights.sched_min[i]),
                departed_min=int(departed[i]) if np.isfinite(departed[i]) else None,
                late=None if np.isnan(flights.arr_delay[i]) else bool(flights.arr_delay[i] > LATE_MIN),
            )
            for i in range(len(flights))
        ]

    def initial(self) -> list[FeatureEvent]:
        """What is known at the day's first minute: its flights, their planes, weather and congestion."""
        return [*self._schedule(), *self._planes_at_start(), *self._weather_at_start()] + [
            event for event in self._changes() if event.minute == self.start_min
        ]

    def events(self) -> list[FeatureEvent]:
        """Every change after the first minute, in order of time.

        Flights and planes go on past midnight as long as the day's flights do; the rest ends with the day.
        """
        return [event for event in self._changes() if event.minute > self.start_min]

    def _changes(self) -> list[FeatureEvent]:
        changes = [*self._weather(), *self._congestion(), *self._live(), *self._planes()]
        return sorted(changes, key=lambda event: event.minute)

    def _schedule(self) -> Iterator[FeatureEvent]:
        flights = self._flights
        for i, row in enumerate(self._known.flight[self._rows]):
            texts = {name: str(getattr(flights, name)[i]) for name in ("origin", "dest", "carrier", "tailnum")}
            yield FeatureEvent(self.start_min, "flight", flights.flight[i], texts | _values("flight", row))

    def _planes_at_start(self) -> Iterator[FeatureEvent]:
        used = np.unique(self._flights.tailnum[self._flights.tailnum != UNKNOWN_PLANE]).astype(object)
        start = np.full(len(used), self.start_min)
        rows = self._known.rotation.rows(used, start)
        known = ~np.isnan(rows).all(axis=1)
        yield from _row_events("plane", used[known], start[known], rows[known])

    def _planes(self) -> Iterator[FeatureEvent]:
        """A plane's row changes when it leaves, and again when that is forgotten."""
        all_flights = self._known.window.flights
        departed = all_flights.departed_min()
        left = (all_flights.tailnum != UNKNOWN_PLANE) & (departed > self.start_min - rotation.REMEMBERED_MIN)
        left &= np.isfinite(departed) & (all_flights.sched_min < self.stop_min)
        minutes = departed[left].astype(np.int64)
        minutes = np.concatenate([minutes, minutes + rotation.REMEMBERED_MIN])
        tailnums = np.tile(all_flights.tailnum[left], 2)
        inside = (minutes > self.start_min) & np.isin(tailnums, np.unique(self._flights.tailnum))
        rows = self._known.rotation.rows(tailnums[inside], minutes[inside])
        yield from _row_events("plane", tailnums[inside], minutes[inside], rows)

    def _weather_at_start(self) -> Iterator[FeatureEvent]:
        weather = self._known.window.weather
        for airport in AIRPORTS:
            latest = np.flatnonzero((weather.airport == airport) & (weather.known_min <= self.start_min))[-1:]
            yield from _row_events(
                "weather", weather.airport[latest], weather.known_min[latest], self._known.weather[latest]
            )

    def _weather(self) -> Iterator[FeatureEvent]:
        weather = self._known.window.weather
        inside = (weather.known_min > self.start_min) & (weather.known_min < self.stop_min)
        yield from _row_events(
            "weather", weather.airport[inside], weather.known_min[inside], self._known.weather[inside]
        )

    def _congestion(self) -> Iterator[FeatureEvent]:
        minutes = np.arange(self.start_min, self.stop_min, congestion.STEP_MIN)
        for index, airport in enumerate(AIRPORTS):
            rows = self._known.congestion.at(np.full(len(minutes), index), minutes)
            changed = np.append(True, np.any(rows[1:] != rows[:-1], axis=1))
            entities = [airport] * int(changed.sum())
            yield from _row_events("congestion", entities, minutes[changed], rows[changed])

    def _live(self) -> Iterator[FeatureEvent]:
        departed = self._flights.departed_min()
        for i in range(len(self._flights)):
            minutes = _report_minutes(int(self._flights.sched_min[i]), float(departed[i]))
            same = self._flights.take(np.full(len(minutes), i))
            rows = features.live_rows(same, np.array(minutes, dtype=np.int64))
            yield from _row_events("live", same.flight, minutes, rows)


def _report_minutes(sched_min: int, departed_min: float) -> list[int]:
    """Every ten minutes while a flight waits, up to the longest wait that matters, and when it leaves."""
    waited_min = min(departed_min - sched_min, rotation.DELAY_RANGE_MIN[1] + 1)
    reports = range(0, int(np.ceil(waited_min)), features.WAITING_STEP_MIN)
    waiting = [sched_min + after for after in reports]
    return waiting if np.isinf(departed_min) else [*waiting, int(departed_min)]


def _row_events(view: str, entities: Iterable[str], minutes: Iterable[int], rows: Floats) -> Iterator[FeatureEvent]:
    for entity, minute, row in zip(entities, minutes, rows, strict=True):
        yield FeatureEvent(int(minute), view, str(entity), _values(view, row))


def _values(view: str, row: Floats) -> dict[str, float | str]:
    return dict(zip(VIEWS[view], row.tolist(), strict=True))
