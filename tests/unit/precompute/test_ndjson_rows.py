"""Feature rows from NDJSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from precompute.columns import Wanted
from precompute.features import Row
from precompute.ndjson_rows import NdjsonRows
from precompute.row_batches import Batch
from tests.small_project import small_project

VIEW = small_project().view("thing")


def read(path: Path, content: str, time_column: str | None = None) -> Batch:
    """Writes a file and reads it back."""
    path.write_text(content)
    (batch,) = NdjsonRows(path, Wanted(VIEW, "entity", time_column, now_ms=5))
    return batch


def test_an_object_becomes_a_row(tmp_path: Path) -> None:
    """Numbers may name entities; without a time the event happens now."""
    batch = read(tmp_path / "f.ndjson", '{"entity": 7, "v": [1, 2], "temp": null}\n')

    assert batch.rows == [Row("7", {"v": [1, 2], "temp": None}, 5)]


def test_each_row_may_have_its_own_time(tmp_path: Path) -> None:
    """Where some have none, those happen now; once a column was asked for, all must have it."""
    content = '{"entity":"a","v":[1,2],"event_time":1}\n{"entity":"b","v":[1,2]}\n'

    loose = read(tmp_path / "f.ndjson", content)
    strict = read(tmp_path / "f.ndjson", content, "event_time")

    assert [row.event_ms for row in loose.rows] == [1000, 5]
    assert [(reject.number, reject.reason) for reject in strict.rejected] == [(2, "the event time is missing")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"entity": "a", "v": [1,', "not a JSON object"),
        ("[1, 2]", "not a JSON object"),
        ('{"v": [1, 2]}', "'entity' is None, not a text or a whole number"),
        ('{"entity": 1.5, "v": [1, 2]}', "'entity' is 1.5"),
    ],
)
def test_a_bad_line_costs_no_other_line(tmp_path: Path, line: str, reason: str) -> None:
    """It is named by its number, blank lines counted, and shown."""
    batch = read(tmp_path / "f.ndjson", f'\n{line}\n{{"entity": "b", "v": [1, 2]}}\n')

    assert [row.entity for row in batch.rows] == ["b"]
    (reject,) = batch.rejected
    assert (reject.number, reason in reject.reason) == (2, True)


def test_names_that_no_field_has_asked_for_are_ignored_and_told(tmp_path: Path) -> None:
    """A typing mistake in an optional field must not go unseen."""
    path = tmp_path / "f.ndjson"
    path.write_text('{"entity": "a", "v": [1, 2], "tmp": 3}\n')
    rows = NdjsonRows(path, Wanted(VIEW, "entity", None, now_ms=5))

    (batch,) = rows

    assert batch.rows[0].values == {"v": [1, 2]}
    assert rows.ignored == ("tmp",)
