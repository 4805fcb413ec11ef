import numpy as np

from deploy.demo.encodings import late
from deploy.demo.features import FEATURES
from deploy.demo.moments import moments, scored, stacked


def test_only_flights_that_still_wait_are_overdue(flights):
    """Half an hour past schedule, those that left are no longer asked about as waiting."""
    table = flights({"dep_delay": 30}, {"dep_delay": 31})

    overdue = next(part for part in moments(table, np.arange(2)) if part.name == "30 min overdue")

    assert overdue.rows.tolist() == [1]
    assert overdue.at_min.tolist() == [630]


def test_flights_without_an_arrival_neither_teach_nor_judge(flights):
    """Cancelled and diverted flights are left out, as are those outside the span."""
    table = flights({"arr_delay": np.nan}, {"arr_delay": 3}, {"sched_min": 5000})

    assert scored(table, 0, 5000).tolist() == [1]


def test_rows_and_outcomes_are_stacked_alike(known):
    """As many outcomes as rows, all moments below each other."""
    parts = moments(known.window.flights, np.arange(20))

    matrix, outcome = stacked(known, late(known.window.flights), parts)

    assert (sum(len(part.rows) for part in parts), len(FEATURES)) == matrix.shape
    assert len(outcome) == len(matrix)
