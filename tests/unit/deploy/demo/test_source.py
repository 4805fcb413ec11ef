import zipfile
from datetime import date

import numpy as np
import pytest

from deploy.demo.source import between, read
from deploy.demo.tables import minute_of

FLIGHTS = """\
year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour
2013,7,2,2030,2030,0,2240,2245,-5,B6,8,NA,JFK,SJU,190,1598,20,30,2013-07-03T00:00:00Z
2013,7,2,805,800,5,1035,1040,-5,UA,7,N1,EWR,PHX,290,2133,8,0,2013-07-02T12:00:00Z
2013,7,2,NA,2300,NA,NA,145,NA,UA,7,N2,LGA,LAX,NA,2475,23,0,2013-07-03T03:00:00Z
2013,1,5,800,800,0,1040,1100,-20,UA,7,N1,EWR,PHX,290,2133,8,0,2013-01-05T13:00:00Z
"""
WEATHER = """\
origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour
EWR,2013,7,2,7,70,60,50,90,10,NA,0,1012,10,2013-07-02T11:00:00Z
EWR,2013,7,2,8,71,60,50,NA,1048.4,NA,0,NA,10,2013-07-02T12:00:00Z
"""
PLANES = """\
tailnum,year,type,manufacturer,model,engines,seats,speed,engine
N1,2004,Fixed wing multi engine,EMBRAER,EMB-145XR,2,55,NA,Turbo-fan
N9,NA,Fixed wing multi engine,EMBRAER,EMB-145XR,2,55,NA,Turbo-fan
"""
AIRPORTS = """\
faa,name,lat,lon,alt,tz,dst,tzone
PHX,Phoenix,33,-112,1135,-7,N,America/Phoenix
LAX,Los Angeles,33,-118,126,-8,A,America/Los_Angeles
"""


@pytest.fixture
def year(tmp_path):
    """The tables of a small source folder."""
    with zipfile.ZipFile(tmp_path / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", FLIGHTS)
    for name, text in (("weather", WEATHER), ("planes", PLANES), ("airports", AIRPORTS)):
        (tmp_path / f"{name}.csv").write_text(text)
    return read(tmp_path)


def test_a_number_that_leaves_twice_a_day_gets_two_names(year):
    """A name stands for one departure; the earlier one keeps the plain name."""
    assert year.flights.flight.tolist() == ["UA7.0105", "UA7.0702", "B68.0702", "UA7.0702.2"]


def test_scheduled_durations_respect_the_clocks_at_both_ends(year):
    """Phoenix keeps no daylight saving time, the Caribbean is missing in the file, and midnight may pass."""
    assert year.flights.block_min.tolist() == [300, 340, 135, 345]


def test_what_the_source_does_not_say_stays_unknown(year):
    """A missing plane has a name that no register holds; a flight that never left has no delay."""
    assert year.flights.tailnum[2] == "unknown"
    assert np.isnan(year.flights.dep_delay[3])
    assert np.isnan(year.planes.age[1])
    assert np.isnan(year.weather.pressure[1])


def test_weather_is_known_when_its_hour_is_over(year):
    """The observation of seven o'clock is no news before eight."""
    eight = minute_of(date(2013, 7, 2)) + 8 * 60

    assert [eight, eight + 60] == year.weather.known_min.tolist()


def test_wind_is_cleaned(year):
    """No gust means none above the wind; a wind of a thousand miles an hour is a typing error."""
    np.testing.assert_array_equal([10, np.nan], year.weather.wind_speed)
    np.testing.assert_array_equal([10, np.nan], year.weather.wind_gust)
    np.testing.assert_allclose([10, np.nan], year.weather.wind_east)


def test_a_window_takes_its_days_with_their_planes_and_the_weather_before(year):
    """The weather of the evening before is still the latest when the first day begins."""
    july = between(year, date(2013, 7, 2), date(2013, 7, 2))
    next_day = between(year, date(2013, 7, 3), date(2013, 7, 3))

    assert len(july.flights) == 3
    assert july.planes.tailnum.tolist() == ["N1"]
    assert len(next_day.weather) == 2
