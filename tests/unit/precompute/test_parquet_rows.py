"""Feature rows from Parquet."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from precompute.columns import Wanted
from precompute.errors import ConfigError, PermanentError
from precompute.parquet_rows import ParquetRows
from precompute.row_batches import BATCH_ROWS, Batch
from precompute.views import Field, View
from tests.small_project import small_project

WANTED = Wanted(small_project().view("thing"), "entity", None, now_ms=5)


def read(path: Path, columns: dict[str, Any], wanted: Wanted = WANTED) -> list[Batch]:
    """Writes a file and reads it back."""
    pq.write_table(pa.table(columns), path)
    return list(ParquetRows(path, wanted))


def test_columns_become_values_of_their_fields(tmp_path: Path) -> None:
    """Vectors from lists, times from timestamps, decimals as numbers, nulls missing, entities of any type."""
    columns = {
        "entity": [7, 8],
        "event_time": pa.array([datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)] * 2),
        "v": [[1.0, 2.0], [3.0, 4.0]],
        "temp": [Decimal("1.5"), None],
        "count": [2**53 + 1, None],
    }

    (batch,) = read(tmp_path / "f.parquet", columns)

    assert [(row.entity, row.event_ms) for row in batch.rows] == [("7", 1000), ("8", 1000)]
    assert batch.rows[0].values == {"v": [1.0, 2.0], "temp": 1.5, "count": 2**53 + 1}
    assert batch.rows[1].values == {"v": [3.0, 4.0], "temp": None, "count": None}


def test_vectors_of_a_fixed_size_are_cut_from_one_array(tmp_path: Path) -> None:
    """The quick way gives what the slow way gives, in slices of a file too."""
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(8, dtype="f4")), 2)

    (batch,) = read(tmp_path / "f.parquet", {"entity": list("abcd"), "v": vectors})

    assert [np.asarray(row.values["v"]).tolist() for row in batch.rows] == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_bytes_are_an_image(tmp_path: Path) -> None:
    """The usual way to keep pixels in Parquet."""
    wanted = Wanted(View("photo", "photo", (Field("pixels", "uint8", (2, 2)),)), "entity", None, 5)

    (batch,) = read(tmp_path / "f.parquet", {"entity": ["a"], "pixels": [b"\x01\x02\x03\x04"]}, wanted)

    assert np.asarray(batch.rows[0].values["pixels"]).tolist() == [[1, 2], [3, 4]]


def test_bad_rows_are_named_by_their_number(tmp_path: Path) -> None:
    """Over the borders of batches."""
    entities = [f"e{i}" for i in range(BATCH_ROWS + 1)] + [None]

    batches = read(tmp_path / "f.parquet", {"entity": entities, "v": [[1.0, 2.0]] * len(entities)})

    (reject,) = [reject for batch in batches for reject in batch.rejected]
    assert (reject.number, reject.reason) == (BATCH_ROWS + 2, "the entity is missing")
    assert reject.row == {"entity": None, "v": [1.0, 2.0]}


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    """In one line."""
    path = tmp_path / "f.parquet"
    path.write_text("entity,v\n" * 10)

    with pytest.raises(ConfigError, match="not a Parquet file"):
        list(ParquetRows(path, WANTED))


def test_a_file_with_damaged_pages_is_no_silent_success(tmp_path: Path) -> None:
    """The footer is at the end, so damage inside shows only while reading."""
    path = tmp_path / "f.parquet"
    pq.write_table(pa.table({"entity": [f"e{i}" for i in range(5000)], "v": [[1.0, 2.0]] * 5000}), path)
    content = bytearray(path.read_bytes())
    content[4:2000] = bytes(1996)
    path.write_bytes(content)

    with pytest.raises(PermanentError, match="cannot be read to its end"):
        list(ParquetRows(path, WANTED))
