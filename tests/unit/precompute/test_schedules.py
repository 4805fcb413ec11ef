"""What a declared job says about itself."""

from __future__ import annotations

import pytest

from precompute.cron import Cron
from precompute.schedules import ByCron, Every, OnPublish, OnViewUpdate, Window


@pytest.mark.parametrize("text", ["22:00-06:00", "00:00-00:30", "08:15-17:45"])
def test_a_window_is_written_as_it_is_read(text: str) -> None:
    """Hours and minutes."""
    assert str(Window.parse(text)) == text


def test_a_day_ends_at_24_00() -> None:
    """Which is the next one's beginning."""
    window = Window.parse("12:00-24:00")

    assert [window.holds(minute) for minute in (0, 719, 720, 1439)] == [False, False, True, True]


@pytest.mark.parametrize("text", ["22-06", "25:00-06:00", "8:60-9:00", "08:00", "08:00-", "24:01-03:00", "a:00-b:00"])
def test_anything_else_is_no_window(text: str) -> None:
    """The text shows how to write one."""
    with pytest.raises(ValueError, match="must be written as HH:MM-HH:MM"):
        Window.parse(text)


@pytest.mark.parametrize("text", ["08:00-08:00", "00:00-24:00"])
def test_a_window_ends_elsewhere_than_it_begins(text: str) -> None:
    """Nobody can tell whether that is all or nothing."""
    with pytest.raises(ValueError, match="leave it out for the whole day"):
        Window.parse(text)


def test_when_a_job_runs_can_be_read() -> None:
    """By people."""
    whens = [ByCron(Cron.parse("0 3 * * *")), Every(500), OnPublish(), OnViewUpdate("weather", 60_000)]

    assert [str(when) for when in whens] == [
        "cron 0 3 * * *",
        "every 0.5 s",
        "on publish",
        "on update of weather, at most every 60 s",
    ]
