"""Cron expressions in the dialect of the crontab."""

from __future__ import annotations

from datetime import date

import pytest

from precompute.cron import Cron


@pytest.mark.parametrize(
    ("text", "count", "first", "last"),
    [
        ("* * * * *", 1440, 0, 1439),
        ("*/15 * * * *", 96, 0, 1425),
        ("5/20 9-17/4 * * *", 9, 545, 1065),
        ("0,30 8 * * *", 2, 480, 510),
        ("59 23 * * *", 1, 1439, 1439),
        ("@hourly", 24, 0, 1380),
    ],
)
def test_minutes_of_the_day(text: str, count: int, first: int, last: int) -> None:
    """Numbers, lists, ranges and steps; a step without an end goes on to the last value."""
    minutes = Cron.parse(text).minutes

    assert (len(minutes), minutes[0], minutes[-1]) == (count, first, last)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0 0 * * sun", [1, 8, 15, 22, 29]),
        ("0 0 * * 7", [1, 8, 15, 22, 29]),
        ("0 0 * * MON-TUE", [2, 3, 9, 10, 16, 17, 23, 24, 30, 31]),
        ("0 0 13 * *", [13]),
        ("0 0 13 * fri", [6, 13, 20, 27]),
        ("0 0 13 mar-apr *", [13]),
        ("0 0 */10 * *", [1, 11, 21, 31]),
        ("0 0 1-7 2 *", []),
    ],
)
def test_days(text: str, days: list[int]) -> None:
    """March 2026 begins on a Sunday; where both kinds of day are restricted, either will do."""
    cron = Cron.parse(text)

    found = [day for day in range(1, 32) if cron.matches(date(2026, 3, day))]

    assert found == days


@pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 31 feb *"])
def test_an_expression_that_never_fires_is_refused(text: str) -> None:
    """There is no such day in any year."""
    with pytest.raises(ValueError, match="never fires: no year has such a day"):
        Cron.parse(text)


def test_a_leap_day_comes_in_the_next_leap_year() -> None:
    """That is not never."""
    assert Cron.parse("0 0 29 2 *").day_from(date(2026, 3, 1)) == date(2028, 2, 29)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("* * * *", "has 4 field.s. instead of 5"),
        ("60 * * * *", "minute '60' is not within 0-59"),
        ("* 24 * * *", "hour '24' is not within 0-23"),
        ("* * 0 * *", "day of month '0' is not within 1-31"),
        ("* * * foo *", "month 'foo' is not within 1-12"),
        ("5-1 * * * *", "minute '5-1' is not within"),
        ("*/0 * * * *", "a step is a number from 1"),
        ("*/x * * * *", "a step is a number from 1"),
        ("1,,2 * * * *", "minute '' is not within"),
        ("-1 * * * *", "minute '-1' is not within"),
        ("", "has 0 field"),
    ],
)
def test_a_mistake_is_named_with_its_field(text: str, reason: str) -> None:
    """So that nobody has to count."""
    with pytest.raises(ValueError, match=reason):
        Cron.parse(text)
