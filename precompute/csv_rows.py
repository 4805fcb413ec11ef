"""Feature rows from CSV with a header."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from precompute.columns import Columns, Wanted, match_columns
from precompute.errors import ConfigError, RowRejected
from precompute.event_times import event_ms
from precompute.features import Row
from precompute.row_batches import Batch, BatchBuilder
from precompute.source_file import MAX_LINE_BYTES, SourceFile, readable
from precompute.text_values import parser


class CsvRows:
    """The rows of one CSV file; quoted line breaks are fine, and a byte that is not UTF-8 costs its own row only."""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self.ignored: tuple[str, ...] = ()
        self._path = path
        self._wanted = wanted

    def __iter__(self) -> Iterator[Batch]:
        csv.field_size_limit(MAX_LINE_BYTES)
        with SourceFile(self._path) as file, readable(self._path, csv.Error):
            # Undecodable bytes become lone surrogates, which no entity and no string may hold.
            text = io.TextIOWrapper(file.stream, "utf-8-sig", errors="surrogateescape", newline="")
            numbered = _numbered(csv.reader(iter(lambda: text.readline(MAX_LINE_BYTES), "")))
            _, header = next(numbered, (0, None))
            if not isinstance(header, list):
                raise ConfigError(f"{self._path}: no header")
            columns = match_columns(self._wanted, header, str(self._path))
            self.ignored = columns.ignored
            builder = BatchBuilder(
                self._wanted.view, _row_builder(columns, len(header), self._wanted.now_ms), _explainer(header)
            )
            yield from builder.fill(numbered, file.share)


def _numbered(reader: Iterator[list[str]]) -> Iterator[tuple[int, object]]:
    """Each row with the line it begins at; blank lines are no rows."""
    lines: Callable[[], int] = lambda: reader.line_num  # type: ignore[attr-defined]  # noqa: E731
    while True:
        first = lines() + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield first, RowRejected(f"not CSV: {error}")
        else:
            if cells:
                yield first, cells


def _row_builder(columns: Columns, width: int, now_ms: int) -> Callable[[object], Row]:
    fields = [(field.name, position, parser(field)) for field, position in columns.fields]
    entity, time = columns.entity, columns.time

    def build(cells: object) -> Row:
        if not isinstance(cells, list):
            raise _as_error(cells)
        if len(cells) != width:
            raise RowRejected(f"{len(cells)} values where the header names {width}")
        values = {name: parse(cells[position]) for name, position, parse in fields}
        return Row(cells[entity], values, now_ms if time is None else event_ms(cells[time]))

    return build


def _as_error(cells: object) -> RowRejected:
    return cells if isinstance(cells, RowRejected) else RowRejected("not CSV")


def _explainer(header: list[str]) -> Callable[[object], object]:
    def explain(cells: object) -> object:
        if not isinstance(cells, list):
            return None
        return dict(zip(header, cells, strict=True)) if len(cells) == len(header) else cells

    return explain
