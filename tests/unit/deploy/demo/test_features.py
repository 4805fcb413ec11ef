import tomllib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from deploy.demo import tables
from deploy.demo.features import FEATURES, VIEWS, live_rows

MANIFEST = Path(tables.__file__).parent / "nearcast.toml"


def test_shipped_data_give_the_rows_of_training(known):
    """Rows made from two weeks equal, bit for bit, those that training made from the year."""
    reference = pq.read_table(tables.DATA / "reference.parquet")
    place = {name: row for row, name in enumerate(known.window.flights.flight)}
    rows = np.array([place[name] for name in reference["flight"].to_pylist()])

    matrix = known.matrix(rows, reference["at_min"].to_numpy())

    expected = np.column_stack([reference[name].to_numpy() for name in FEATURES])
    assert len(matrix) == 500
    assert np.float32 == matrix.dtype
    np.testing.assert_array_equal(expected, matrix)


def test_the_manifest_feeds_the_features_in_their_order():
    """Training and serving agree on every column."""
    manifest = tomllib.loads(MANIFEST.read_text())

    assert list(FEATURES) == manifest["models"]["late"]["inputs"]["features"]


def test_every_view_of_the_manifest_has_the_fields_of_the_rows():
    """What the replay puts is what the views declare; texts are there for people and for the list of keys."""
    views = tomllib.loads(MANIFEST.read_text())["views"]

    declared = {view: {name for name, kind in views[view]["fields"].items() if kind != "string"} for view in views}

    assert {view: set(names) for view, names in VIEWS.items()} == declared


def test_a_flight_reports_waiting_and_then_its_delay(flights):
    """Nothing before the schedule, steps of ten minutes while it waits, and the delay once it has left."""
    table = flights(*[{"dep_delay": 25}] * 5)

    rows = live_rows(table, np.array([599, 600, 619, 624, 625]))

    np.testing.assert_array_equal(
        [[np.nan, np.nan], [np.nan, 0], [np.nan, 10], [np.nan, 20], [25, np.nan]],
        rows,
    )


def test_an_early_departure_is_known_before_the_schedule(flights):
    """A flight that left five minutes early reports so at once."""
    table = flights({"dep_delay": -5})

    assert live_rows(table, np.array([595]))[0, 0] == -5


def test_arrivals_are_no_feature(known):
    """Shuffling what became of the flights changes no row."""
    flights = known.window.flights
    blind = tables.Window(
        flights=tables.Flights(**(vars(flights) | {"arr_delay": flights.arr_delay[::-1]})),
        weather=known.window.weather,
        planes=known.window.planes,
    )
    rows = np.arange(2000, 2100)

    matrix = type(known)(blind).matrix(rows, flights.sched_min[rows])

    np.testing.assert_array_equal(known.matrix(rows, flights.sched_min[rows]), matrix)
