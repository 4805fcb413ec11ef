"""When an event happened."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from precompute.errors import RowRejected
from precompute.event_times import event_ms

NOON = 1_767_268_800_000


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-01T12:00:00Z",
        "2026-01-01 12:00:00",
        "2026-01-01T13:00:00+01:00",
        "1767268800",
        "1767268800.0",
        "1767268800000",
        1767268800,
        1767268800.0,
        NOON,
        datetime(2026, 1, 1, 12, tzinfo=UTC),
        datetime(2026, 1, 1, 12),
    ],
)
def test_one_moment_has_many_spellings(value: object) -> None:
    """ISO 8601 with and without zone, epoch seconds and milliseconds, as text or number."""
    assert event_ms(value) == NOON


def test_a_date_is_its_first_moment() -> None:
    """In UTC, like every time without a zone."""
    assert event_ms(date(2026, 1, 1)) == event_ms("2026-01-01") == NOON - 12 * 3_600_000


@pytest.mark.parametrize("value", [-1, "-1.0"])
def test_a_time_before_1970_is_negative(value: object) -> None:
    """Old data is data."""
    assert event_ms(value) == -1000


@pytest.mark.parametrize("value", ["yesterday", "12:00", True, float("nan"), [], "1.2.3"])
def test_what_is_no_time_is_rejected(value: object) -> None:
    """A row whose time is unknown could overwrite a newer one."""
    with pytest.raises(RowRejected, match="neither ISO 8601 nor epoch"):
        event_ms(value)


@pytest.mark.parametrize("value", ["", None])
def test_a_missing_time_is_rejected(value: object) -> None:
    """It is not silently now."""
    with pytest.raises(RowRejected, match="the event time is missing"):
        event_ms(value)
