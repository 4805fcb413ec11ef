"""Importing files: formats, rejects, and how far an import came."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from precompute.errors import ConfigError, StoreUnavailable
from precompute.features import Features, PutResult, Row
from precompute.imports import RejectsFile, guess_format, import_rows
from precompute.row_batches import Batch, Reject, rows_per_batch
from precompute.views import Field, View


class FakeWriter:
    """Accepts every row but `bad`; fails at the batch number `fails_at`."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.result = PutResult()
        self._fails_at = fails_at
        self._batches = 0

    @contextmanager
    def writing(self, view: str) -> Iterator[FakeWriter]:
        yield self

    def put(self, rows: Iterable[Row]) -> list[tuple[int, str]]:
        self._batches += 1
        if self._batches == self._fails_at:
            raise StoreUnavailable("Redis is away")
        self.result.written += sum(row.entity != "bad" for row in rows)
        return [(i, "is bad") for i, row in enumerate(rows) if row.entity == "bad"]


class FakeRows:
    """Batches that need no file."""

    ignored: tuple[str, ...] = ()

    def __init__(self, *batches: Batch) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches)


def batch(entities: dict[int, str], rejected: tuple[Reject, ...] = (), share: float = 1.0) -> Batch:
    """A batch of rows without values: entity by line number."""
    rows = [Row(entity, {}, 0) for entity in entities.values()]
    return Batch(rows, list(entities), list(entities.values()), list(rejected), share)


def run(rows: FakeRows, writer: FakeWriter, path: Path, progress: Any = lambda *_: None) -> Any:
    """Imports these batches; returns the result."""
    with RejectsFile(path) as rejects:
        return import_rows(cast(Features, writer), "thing", rows, rejects, progress)


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.csv", "csv"), ("a.CSV", "csv"), ("a.csv.gz", "csv"), ("a.jsonl", "ndjson"), ("b.1.parquet", "parquet")],
)
def test_the_format_follows_from_the_name(name: str, form: str) -> None:
    """Gzip is not a format of its own."""
    assert guess_format(Path(name)) == form


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.gz"])
def test_another_name_must_come_with_its_format(name: str) -> None:
    """The complaint says how."""
    with pytest.raises(ConfigError, match="say --format csv, ndjson, parquet"):
        guess_format(Path(name))


def test_rejects_of_reader_and_store_are_one_file_in_the_order_of_lines(tmp_path: Path) -> None:
    """Whoever mends the rows walks through the file once."""
    rows = FakeRows(batch({2: "a", 3: "bad"}, (Reject(4, "unreadable", "x"),)), batch({5: "bad", 6: "b"}))

    result = run(rows, FakeWriter(), tmp_path / "rejects")

    assert (result.rows, result.rejected, result.put.written) == (5, 3, 2)
    assert [json.loads(line) for line in (tmp_path / "rejects").read_text().splitlines()] == [
        {"number": 3, "reason": "is bad", "row": "bad"},
        {"number": 4, "reason": "unreadable", "row": "x"},
        {"number": 5, "reason": "is bad", "row": "bad"},
    ]


def test_without_rejects_there_is_no_file(tmp_path: Path) -> None:
    """An empty one would only raise questions."""
    run(FakeRows(batch({2: "a"})), FakeWriter(), tmp_path / "rejects")

    assert not (tmp_path / "rejects").exists()


def test_a_reject_with_bytes_that_are_no_text_is_still_written(tmp_path: Path) -> None:
    """JSON has no lone surrogates; the row is shown escaped."""
    with RejectsFile(tmp_path / "rejects") as rejects:
        rejects.write([Reject(2, "is not UTF-8", {"entity": "a\udcff"})])

    assert json.loads((tmp_path / "rejects").read_text())["row"] == r"{'entity': 'a\udcff'}"


def test_progress_tells_share_and_rows(tmp_path: Path) -> None:
    """Rejected rows count as read."""
    heard: list[tuple[float | None, int]] = []
    rows = FakeRows(batch({2: "a"}, (Reject(3, "", ""),), 0.5), batch({4: "b"}))

    run(rows, FakeWriter(), tmp_path / "rejects", lambda share, count: heard.append((share, count)))

    assert heard == [(0.5, 2), (1.0, 3)]


def test_an_import_that_breaks_off_says_how_far_it_came(tmp_path: Path) -> None:
    """And that repeating it does no harm."""
    rows = FakeRows(batch({2: "a", 3: "b"}), batch({4: "c"}))

    with pytest.raises(StoreUnavailable, match="Redis is away; 2 rows are stored, and importing all again is harmless"):
        run(rows, FakeWriter(fails_at=2), tmp_path / "rejects")


@pytest.mark.parametrize(
    ("kind", "shape", "rows"), [("float32", (), 2000), ("uint8", (1024, 1024), 8), ("string", (), 2000)]
)
def test_a_batch_of_wide_rows_is_short(kind: str, shape: tuple[int, ...], rows: int) -> None:
    """Two batches are in memory at a time, in several forms each."""
    assert rows_per_batch(View("v", "v", (Field("f", kind, shape),))) == rows
