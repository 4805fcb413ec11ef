import numpy as np

from deploy.demo.rotation import Rotation
from deploy.demo.tables import Planes

PLANES = Planes(*(np.array([value], dtype=kind) for value, kind in (("N1", object), (9, "f4"), (180, "f4"), (2, "f4"))))


def rows(flights, *asked):
    """Rows of (plane, minute) pairs."""
    names, minutes = zip(*asked, strict=True)
    return Rotation(PLANES, flights).rows(np.array(names, dtype=object), np.array(minutes))


def test_a_delay_is_known_from_departure_for_twelve_hours(flights):
    """Before it leaves a plane has no last delay, and half a day later it has none again."""
    table = flights({"sched_min": 600, "dep_delay": 30})

    found = rows(table, ("N1", 629), ("N1", 630), ("N1", 630 + 719), ("N1", 630 + 720))

    np.testing.assert_array_equal([np.nan, 30, 30, np.nan], found[:, -1])
    np.testing.assert_array_equal([[9, 180, 2]] * 4, found[:, :-1])


def test_the_latest_departure_counts(flights):
    """A later departure replaces the delay of an earlier one, in order of leaving."""
    table = flights({"sched_min": 600, "dep_delay": 100}, {"sched_min": 650, "dep_delay": 0})

    assert rows(table, ("N1", 660), ("N1", 710))[:, -1].tolist() == [0, 100]


def test_planes_do_not_mix(flights):
    """A plane without departures knows nothing of its neighbour's; one outside the register has no age."""
    table = flights({"tailnum": "N0", "dep_delay": 50}, {"tailnum": "N2", "sched_min": 900})

    found = rows(table, ("N0", 700), ("N1", 700), ("N2", 700))

    np.testing.assert_array_equal([50, np.nan, np.nan], found[:, -1])
    np.testing.assert_array_equal([np.nan, 9, np.nan], found[:, 0])


def test_flights_of_unnamed_planes_tell_nothing_of_each_other(flights):
    """`unknown` is no plane."""
    table = flights({"tailnum": "unknown", "dep_delay": 50}, {"tailnum": "unknown", "sched_min": 900})

    assert np.isnan(rows(table, ("unknown", 900))).all()
