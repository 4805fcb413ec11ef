"""Which column is what."""

from __future__ import annotations

import pytest

from precompute.columns import Wanted, match_columns
from precompute.errors import ConfigError
from tests.small_project import small_project

VIEW = small_project().view("thing")


def wanted(entity: str = "entity", time: str | None = None) -> Wanted:
    """What is asked of a file for the view."""
    return Wanted(VIEW, entity, time, now_ms=5)


def test_columns_are_found_by_name() -> None:
    """Their order in the file does not matter, and extra ones are named."""
    columns = match_columns(wanted(), ["count", "event_time", "v", "weather", "entity"], "f.csv")

    assert (columns.entity, columns.time) == (4, 1)
    assert [(field.name, at) for field, at in columns.fields] == [("v", 2), ("count", 0)]
    assert columns.ignored == ("weather",)


def test_without_a_time_column_events_happen_now() -> None:
    """Nobody asked for one, and the file has none."""
    assert match_columns(wanted(), ["entity", "v"], "f.csv").time is None


@pytest.mark.parametrize(
    ("asked", "header", "complaint"),
    [
        (wanted(), ["name", "v"], "no column 'entity'; it has: name, v; name it with --entity-column"),
        (wanted(time="at"), ["entity", "v"], "no column 'at' for the event time"),
        (wanted(), ["entity", "temp"], r"no column for thing.v \(float32\[2\]\), which has no policy for missing"),
        (wanted(), ["entity", "v", "v"], "the header names 'v' twice"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused_as_a_whole(asked: Wanted, header: list[str], complaint: str) -> None:
    """Otherwise every single row would be rejected for the same reason."""
    with pytest.raises(ConfigError, match=complaint):
        match_columns(asked, header, "f.csv")
