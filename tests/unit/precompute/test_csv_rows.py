"""Feature rows from CSV."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from precompute.columns import Wanted
from precompute.csv_rows import CsvRows
from precompute.errors import ConfigError, PermanentError
from precompute.features import Row
from precompute.row_batches import BATCH_ROWS, Batch
from tests.small_project import small_project

WANTED = Wanted(small_project().view("thing"), "entity", None, now_ms=5)


def read(path: Path, content: str | bytes) -> list[Batch]:
    """Writes a file and reads it back."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(CsvRows(path, WANTED))


def test_cells_become_values_of_their_fields(tmp_path: Path) -> None:
    """Typed, with an event time, and empty cells missing."""
    content = "entity,event_time,v,temp,label\na,1970-01-01T00:00:01Z,1;2,,x y\n"

    (batch,) = read(tmp_path / "f.csv", content)

    assert batch.rows == [Row("a", {"v": [1, 2], "temp": None, "label": "x y"}, 1000)]
    assert batch.share == 1.0


def test_bad_rows_are_named_by_their_line_and_cost_no_other_row(tmp_path: Path) -> None:
    """Lines are counted as an editor counts them, through quoted line breaks and blank lines."""
    content = 'entity,v,label\na,1;2,"two\nlines"\n\nb,1;x,l\nc,1;2\nd,3;4,l\n'

    (batch,) = read(tmp_path / "f.csv", content)

    assert [row.entity for row in batch.rows] == ["a", "d"]
    assert batch.numbers == [2, 7]
    assert [(reject.number, reject.reason) for reject in batch.rejected] == [
        (5, "v: '1;x' is not a float32[2]"),
        (6, "2 values where the header names 3"),
    ]
    assert batch.rejected[0].row == {"entity": "b", "v": "1;x", "label": "l"}


def test_a_byte_order_mark_belongs_to_no_column(tmp_path: Path) -> None:
    """Spreadsheets write one."""
    (batch,) = read(tmp_path / "f.csv", "\ufeffentity,v\na,1;2\n")

    assert [row.entity for row in batch.rows] == ["a"]


def test_bytes_that_are_not_utf_8_reach_the_judge_as_lone_surrogates(tmp_path: Path) -> None:
    """Neither an entity nor a string may hold one, so that only this row is rejected when it is stored."""
    (batch,) = read(tmp_path / "f.csv", b"entity,v\na\xff,1;2\nb,1;2\n")

    assert [row.entity for row in batch.rows] == ["a\udcff", "b"]


def test_a_large_file_comes_in_batches(tmp_path: Path) -> None:
    """Memory is bounded by the batch, and the share grows with it."""
    content = "entity,v\n" + "".join(f"e{i},1;2\n" for i in range(BATCH_ROWS * 2 + 1))

    batches = read(tmp_path / "f.csv", content)

    assert [len(batch.rows) for batch in batches] == [BATCH_ROWS, BATCH_ROWS, 1]
    shares = [batch.share or 0.0 for batch in batches]
    assert shares == sorted(shares)


def test_a_gzipped_file_is_read_as_it_is(tmp_path: Path) -> None:
    """By its second suffix."""
    (batch,) = read(tmp_path / "f.csv.gz", gzip.compress(b"entity,v\na,1;2\n"))

    assert [row.entity for row in batch.rows] == ["a"]


def test_a_gzipped_file_that_is_cut_short_is_no_silent_success(tmp_path: Path) -> None:
    """What came through is given, then the damage is reported."""
    whole = gzip.compress(b"entity,v\n" + b"".join(b"e%d,1;2\n" % (i * 7919) for i in range(9000)))

    with pytest.raises(PermanentError, match=r"f\.csv\.gz: cannot be read to its end"):
        read(tmp_path / "f.csv.gz", whole[: len(whole) // 2])


def test_a_file_without_a_header_is_refused(tmp_path: Path) -> None:
    """An empty file is somebody's mistake."""
    with pytest.raises(ConfigError, match="no header"):
        read(tmp_path / "f.csv", "")


def test_a_file_that_is_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    """The path and the reason."""
    with pytest.raises(ConfigError, match=r"none\.csv: No such file"):
        list(CsvRows(tmp_path / "none.csv", WANTED))
