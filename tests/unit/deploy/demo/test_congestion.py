import numpy as np

from deploy.demo.congestion import FIELDS, measure


def row(flights, minute, airport=0):
    """The figures of an airport at a minute, by name."""
    found = measure(flights).at(np.array([airport]), np.array([minute]))[0]
    return dict(zip(FIELDS, found.tolist(), strict=True))


def test_the_recent_departures_are_counted_and_averaged(flights):
    """Departures of the last hour count, from the minute they leave."""
    table = flights({"sched_min": 600, "dep_delay": 20}, {"sched_min": 610, "dep_delay": 0})

    at_the_second, after_both, later = row(table, 610), row(table, 620), row(table, 680)

    assert (at_the_second["departures"], at_the_second["mean_delay"]) == (1, 0)
    assert (after_both["departures"], after_both["mean_delay"], after_both["late_share"]) == (2, 10, 0.5)
    assert (later["departures"], later["mean_delay"]) == (0, 0)


def test_a_long_delay_counts_as_three_hours(flights):
    """One flight ten hours late does not drown the others."""
    table = flights({"sched_min": 600, "dep_delay": 600}, {"sched_min": 1200, "dep_delay": 0})

    assert row(table, 1205)["mean_delay"] == 90


def test_a_cancelled_flight_is_overdue_until_it_is_given_up(flights):
    """Nobody knows that it was cancelled, so it waits for three hours like any late flight."""
    table = flights({"sched_min": 600, "dep_delay": np.nan})

    overdue = [row(table, 600 + after)["overdue"] for after in (10, 15, 175, 180)]

    assert overdue == [0, 1, 1, 0]


def test_an_overdue_flight_stops_being_overdue_when_it_leaves(flights):
    """A flight is either at the gate or gone."""
    table = flights({"sched_min": 600, "dep_delay": 40})

    assert [row(table, minute)["overdue"] for minute in (635, 640)] == [1, 0]


def test_airports_do_not_mix_but_the_region_sums_them_up(flights):
    """Only the regional figure looks across the river."""
    table = flights({"origin": "EWR", "dep_delay": 30}, {"origin": "JFK", "dep_delay": 10})

    newark, laguardia = row(table, 630), row(table, 630, airport=2)

    assert (newark["mean_delay"], newark["region_mean_delay"]) == (30, 20)
    assert (laguardia["mean_delay"], laguardia["region_mean_delay"]) == (0, 20)


def test_between_two_steps_the_earlier_figures_hold(flights):
    """A departure at :03 is told at :05."""
    table = flights({"sched_min": 603, "dep_delay": 0})

    assert [row(table, minute)["departures"] for minute in (604, 605)] == [0, 1]
