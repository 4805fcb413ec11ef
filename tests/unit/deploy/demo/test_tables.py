from datetime import UTC, date, datetime

import numpy as np

from deploy.demo.tables import Flights, minute_of, unix_s


def test_a_table_survives_its_file(flights, tmp_path):
    """Reading gives back what was written, missing numbers included."""
    table = flights({"dep_delay": np.nan}, {"flight": "UA2.0101", "arr_delay": 31})

    table.write(tmp_path / "flights.parquet")

    again = Flights.read(tmp_path / "flights.parquet")
    assert again.flight.tolist() == ["UA1.0101", "UA2.0101"]
    np.testing.assert_array_equal([np.nan, 0], again.dep_delay)
    np.testing.assert_array_equal([0, 31], again.arr_delay)
    assert np.int32 == again.sched_min.dtype


def test_a_minute_of_october_becomes_unix_time():
    """Noon in New York is 16:00 UTC while clocks show daylight saving time."""
    noon = minute_of(date(2013, 10, 7)) + 12 * 60

    moment = datetime.fromtimestamp(unix_s(noon), UTC)

    assert datetime(2013, 10, 7, 16, tzinfo=UTC) == moment


def test_a_flight_that_never_left_departs_at_infinity(flights):
    """A cancelled flight is not departed at any minute."""
    table = flights({"dep_delay": np.nan}, {"dep_delay": -5})

    assert [np.inf, 595] == table.departed_min().tolist()
