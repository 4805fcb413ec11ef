"""Cron expressions: five fields, in the dialect of the Unix crontab, without I/O and without a clock.

`minute hour day-of-month month day-of-week`, each `*`, a number or name, a range `a-b`, a step `*/n` or `a-b/n`, or a
list of these. Sunday is 0 or 7. As in the crontab, where both kinds of day are restricted, either will do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

MINUTES_A_DAY = 24 * 60
#: 29 February falls on a given weekday every 28 years, or 40 around a turn of the century.
_HORIZON_DAYS = 41 * 366

_MONTHS = {"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6}
_MONTHS |= {"jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12}
_WEEKDAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_SHORTHANDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression.

    Attributes:
        minutes: minutes of the day, ascending.
        every_hour: whether the hour is not restricted.
        either_day: whether a day of the month or a day of the week is enough.
    """

    text: str
    minutes: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    every_hour: bool
    either_day: bool

    @classmethod
    def parse(cls, text: str) -> Cron:
        """Reads an expression.

        Raises:
            ValueError: with the field that is wrong, or because there is no such day in any year.
        """
        fields = _SHORTHANDS.get(text.strip().lower(), text).split()
        if len(fields) != 5:
            wanted = "minute hour day-of-month month day-of-week"
            raise ValueError(f"cron {text!r} has {len(fields)} field(s) instead of 5: {wanted}")
        minute, hour, day, month, weekday = fields
        hours = _values(hour, "hour", 0, 23)
        cron = cls(
            text,
            tuple(sorted(60 * h + m for h in hours for m in _values(minute, "minute", 0, 59))),
            _values(day, "day of month", 1, 31),
            _values(month, "month", 1, 12, _MONTHS),
            frozenset(d % 7 for d in _values(weekday, "day of week", 0, 7, _WEEKDAYS)),
            len(hours) == 24,
            not day.startswith("*") and not weekday.startswith("*"),
        )
        if cron.day_from(date(2000, 1, 1)) is None:
            raise ValueError(f"cron {text!r} never fires: no year has such a day")
        return cron

    def matches(self, day: date) -> bool:
        """Whether it fires on that day."""
        if day.month not in self.months:
            return False
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return in_month or in_week if self.either_day else in_month and in_week

    def day_from(self, day: date) -> date | None:
        """The first day it fires on, that day included; None if there is none for decades."""
        for _ in range(_HORIZON_DAYS):
            if self.matches(day):
                return day
            day += timedelta(days=1)
        return None


def _values(text: str, name: str, low: int, high: int, words: Mapping[str, int] | None = None) -> frozenset[int]:
    found: set[int] = set()
    for piece in text.split(","):
        span, slash, step_text = piece.partition("/")
        step = int(step_text) if step_text.isdecimal() else 0
        if slash and step < 1:
            raise ValueError(f"cron: {name} {piece!r}: a step is a number from 1")
        first, last = _span(span, name, low, high, words or {}, stepped=bool(slash))
        found.update(range(first, last + 1, step or 1))
    return frozenset(found)


def _span(text: str, name: str, low: int, high: int, words: Mapping[str, int], *, stepped: bool) -> tuple[int, int]:
    if text == "*":
        return low, high
    start, dash, end = text.lower().partition("-")
    first = _number(start, words)
    last = _number(end, words) if dash else high if stepped else first
    if first is None or last is None or not low <= first <= last <= high:
        raise ValueError(f"cron: {name} {text!r} is not within {low}-{high}")
    return first, last


def _number(text: str, words: Mapping[str, int]) -> int | None:
    return words.get(text, int(text) if text.isascii() and text.isdecimal() else None)
