"""The demo's three tables as columns, and how they are stored: zstd Parquet files beside this module.

Time is one integer everywhere in the demo: minutes of New York wall clock since 2013-01-01 00:00. The shipped
days all lie within daylight saving time, so one constant turns such a minute into Unix time (`unix_s`).
"""

from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Minutes = NDArray[np.int32]
Texts = NDArray[np.object_]

AIRPORTS = ("EWR", "JFK", "LGA")
#: The tail number of flights whose plane the source does not name.
UNKNOWN_PLANE = "unknown"
DAY_MIN = 1440
DATA = Path(__file__).parent / "data"

_FIRST_DAY = date(2013, 1, 1)
_DAYLIGHT_OFFSET_S = 4 * 3600
_KINDS: dict[Any, tuple[pa.DataType, Any]] = {
    Floats: (pa.float32(), np.float32),
    Minutes: (pa.int32(), np.int32),
    Texts: (pa.string(), np.object_),
}


def minute_of(day: date) -> int:
    """The minute at which `day` begins."""
    return (day - _FIRST_DAY).days * DAY_MIN


def unix_s(minute: float) -> float:
    """Unix time of a minute in the months of daylight saving time."""
    start = datetime(2013, 1, 1, tzinfo=UTC).timestamp()
    return start + _DAYLIGHT_OFFSET_S + minute * 60.0


@dataclass(frozen=True)
class Table:
    """Columns of equal length; subclasses declare each as `Floats`, `Minutes` or `Texts`."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def take(self, rows: NDArray[Any]) -> Self:
        """The rows chosen by a mask or an index."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def write(self, path: Path) -> None:
        """Store as Parquet; NaN becomes null, as other readers expect."""
        columns = {
            field.name: pa.array(getattr(self, field.name), _KINDS[field.type][0], from_pandas=True)
            for field in fields(self)
        }
        pq.write_table(pa.table(columns), path, compression="zstd", compression_level=19)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Load what `write` stored."""
        table = pq.read_table(path)
        return cls(**{field.name: _column(table[field.name], field.type) for field in fields(cls)})


def _column(column: Any, kind: Any) -> NDArray[Any]:
    return np.asarray(column.to_numpy(), dtype=_KINDS[kind][1])


@dataclass(frozen=True)
class Flights(Table):
    """One row per scheduled departure from New York, in order of schedule."""

    flight: Texts
    """One departure: carrier, number, month and day, `UA1545.1014`; the second of a number that day ends in `.2`."""
    origin: Texts
    dest: Texts
    carrier: Texts
    tailnum: Texts
    """`UNKNOWN_PLANE` where the source names none."""
    sched_min: Minutes
    block_min: Floats
    """Scheduled minutes from gate to gate."""
    distance: Floats
    """Miles."""
    carrier_late: Floats
    dest_late: Floats
    number_late: Floats
    """Shares of late arrivals in the training months, see `encodings`."""
    dep_delay: Floats
    """Minutes, NaN if it never departed. Truth: features use it only from the moment of departure."""
    arr_delay: Floats
    """Minutes, NaN if it never arrived as planned. Truth: no feature uses it."""

    def departed_min(self) -> NDArray[np.float64]:
        """The minute each flight left the gate; infinity if it never did."""
        return np.where(np.isnan(self.dep_delay), np.inf, self.sched_min + self.dep_delay.astype(np.float64))


@dataclass(frozen=True)
class Weather(Table):
    """One row per airport and hour of observation, in order of time."""

    airport: Texts
    known_min: Minutes
    """End of the hour of observation: nobody can know the row earlier."""
    temp: Floats
    dewp: Floats
    humid: Floats
    wind_speed: Floats
    wind_gust: Floats
    wind_north: Floats
    wind_east: Floats
    precip: Floats
    pressure: Floats
    visib: Floats


@dataclass(frozen=True)
class Planes(Table):
    """One row per registered plane."""

    tailnum: Texts
    age: Floats
    """Years, in 2013."""
    seats: Floats
    engines: Floats


@dataclass(frozen=True)
class Window:
    """The tables of a span of days: a year for training, two weeks for the replay."""

    flights: Flights
    weather: Weather
    planes: Planes

    def write(self, folder: Path) -> None:
        """Store the three files."""
        folder.mkdir(parents=True, exist_ok=True)
        self.flights.write(folder / "flights.parquet")
        self.weather.write(folder / "weather.parquet")
        self.planes.write(folder / "planes.parquet")

    @classmethod
    def read(cls, folder: Path = DATA) -> Self:
        """Load the three files; by default those that ship with the demo."""
        return cls(
            flights=Flights.read(folder / "flights.parquet"),
            weather=Weather.read(folder / "weather.parquet"),
            planes=Planes.read(folder / "planes.parquet"),
        )
