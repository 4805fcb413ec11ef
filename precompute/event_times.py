"""When an event happened, as people and files write it."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

from precompute.errors import RowRejected

#: Smaller numbers are seconds, others milliseconds: as seconds this is the year 5138, as milliseconds March 1973.
_SECONDS_BELOW = 1e11


def event_ms(value: object) -> int:
    """Milliseconds since 1970 from ISO 8601 text (UTC unless it says otherwise), a date, or epoch seconds or
    milliseconds.

    Raises:
        RowRejected: the value is none of these.
    """
    if isinstance(value, str):
        value = _from_text(value)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return round(aware.timestamp() * 1000)
    if isinstance(value, date):
        return event_ms(datetime(value.year, value.month, value.day, tzinfo=UTC))
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return round(value * 1000 if abs(value) < _SECONDS_BELOW else value)
    raise _wrong(value)


def _from_text(text: str) -> datetime | float:
    try:
        if text.lstrip("-").replace(".", "", 1).isdecimal():
            return float(text) if "." in text else int(text)
        return datetime.fromisoformat(text)
    except ValueError:
        raise _wrong(text) from None


def _wrong(value: object) -> RowRejected:
    if value is None or value == "":
        return RowRejected("the event time is missing")
    return RowRejected(f"event time {value!r:.60} is neither ISO 8601 nor epoch seconds or milliseconds")
