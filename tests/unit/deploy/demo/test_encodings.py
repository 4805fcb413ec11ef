from dataclasses import replace

import numpy as np

from deploy.demo.encodings import PRIOR_FLIGHTS, encode, late
from deploy.demo.tables import DAY_MIN

WEEK = 7 * DAY_MIN


def test_a_rare_value_is_drawn_towards_the_overall_share(flights):
    """A destination seen once says little."""
    seen = [{"sched_min": week * WEEK, "arr_delay": 30 * (week % 2)} for week in range(10)]
    table = flights(*seen, {"sched_min": 20 * WEEK, "dest": "XNA"})

    encoded = encode(table, table.sched_min < 10 * WEEK)

    assert np.float32(0.5) == encoded.dest_late[-1]


def test_a_later_flight_learns_from_all_training_weeks(flights):
    """The share is that of the training flights, smoothed by the prior."""
    seen = [{"sched_min": week * WEEK, "arr_delay": 30, "dest": "ATL"} for week in range(10)]
    other = [{"sched_min": week * WEEK, "arr_delay": 0} for week in range(10)]
    table = flights(*seen, *other, {"sched_min": 20 * WEEK, "dest": "ATL"})

    encoded = encode(table, table.sched_min < 10 * WEEK)

    assert np.float32((10 + 0.5 * PRIOR_FLIGHTS) / (10 + PRIOR_FLIGHTS)) == encoded.dest_late[-1]


def test_no_outcome_of_its_week_reaches_a_training_flight(flights):
    """Turning the outcome of a training flight leaves its own shares as they were, and moves those of others."""
    table = flights(*({"sched_min": week * WEEK, "arr_delay": 30 * (week % 3 == 0)} for week in range(10)))
    turned = replace(table, arr_delay=np.append(table.arr_delay[:-1], 30 - table.arr_delay[-1]).astype(np.float32))
    everything = np.ones(len(table), dtype=bool)

    before, after = encode(table, everything), encode(turned, everything)

    assert before.carrier_late[-1] == after.carrier_late[-1]
    assert before.carrier_late[0] != after.carrier_late[0]


def test_an_unknown_outcome_teaches_nothing(flights):
    """Cancelled flights count neither as late nor as punctual."""
    seen = [{"sched_min": week * WEEK, "arr_delay": 30} for week in range(6)]
    table = flights(*seen, {"sched_min": WEEK, "arr_delay": np.nan})

    encoded = encode(table, np.ones(len(table), dtype=bool))

    assert not late(table)[-1]
    np.testing.assert_array_equal(np.ones(len(table), dtype=np.float32), encoded.carrier_late)
