"""Imports feature rows from files: what is wrong with a row goes to the rejects, every other row is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

import orjson

from precompute.columns import Wanted
from precompute.csv_rows import CsvRows
from precompute.errors import ConfigError, PermanentError, TransientError
from precompute.features import Features, PutResult
from precompute.ndjson_rows import NdjsonRows
from precompute.parquet_rows import ParquetRows
from precompute.row_batches import Batch, Reject

_SUFFIXES = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet", ".pq": "parquet"}


class Rows(Protocol):
    """The rows of one file, a batch at a time."""

    @property
    def ignored(self) -> tuple[str, ...]:
        """Columns that no field has asked for, as far as they have been met."""

    def __iter__(self) -> Iterator[Batch]: ...


_READERS: dict[str, Callable[[Path, Wanted], Rows]] = {"csv": CsvRows, "ndjson": NdjsonRows, "parquet": ParquetRows}
FORMATS = tuple(_READERS)


def read_rows(path: Path, wanted: Wanted, form: str | None = None) -> Rows:
    """A reader for the file, by `form` or else by suffix; `.gz` may follow `.csv` and `.ndjson`.

    Raises:
        ConfigError: the format cannot be told.
    """
    return _READERS[form or guess_format(path)](path, wanted)


def guess_format(path: Path) -> str:
    """`csv`, `ndjson` or `parquet`, by suffix.

    Raises:
        ConfigError: another suffix.
    """
    name = path.with_suffix("") if path.suffix == ".gz" else path
    found = _SUFFIXES.get(name.suffix.lower())
    if found is None:
        raise ConfigError(f"{path}: the name does not tell the format; say --format {', '.join(_READERS)}")
    return found


class RejectsFile:
    """NDJSON of the rows that were not stored; made when the first one comes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def write(self, rejects: list[Reject]) -> None:
        """Adds rows: `{"number": ..., "reason": ..., "row": ...}`."""
        if rejects and self._file is None:
            self._file = self.path.open("wb")
        for reject in rejects:
            assert self._file is not None  # noqa: S101 - opened above
            self._file.write(_json_line(reject))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._file:
            self._file.close()


@dataclass(slots=True)
class ImportResult:
    """How many rows were read, and what became of them."""

    rows: int = 0
    rejected: int = 0
    put: PutResult = field(default_factory=PutResult)

    @property
    def stored(self) -> int:
        """Rows that Redis is known to have now."""
        return self.put.written + self.put.unchanged + self.put.late


def import_rows(
    features: Features,
    view: str,
    rows: Rows,
    rejects: RejectsFile,
    progress: Callable[[float | None, int], None] = lambda _share, _rows: None,
) -> ImportResult:
    """Stores what can be stored; `progress` hears the share of the file and the number of rows read so far.

    Raises:
        ConfigError: the file is not what it was said to be, or lacks a column.
        TransientError, PermanentError: Redis went away, or the file is damaged; says how far it came.
    """
    result = ImportResult()
    try:
        with features.writing(view) as writer:
            result.put = writer.result
            for batch in rows:
                refused = [batch.reject(*why) for why in writer.put(batch.rows)]
                rejects.write(sorted(batch.rejected + refused, key=lambda reject: reject.number))
                result.rejected += len(batch.rejected) + len(refused)
                result.rows += len(batch.rows) + len(batch.rejected)
                progress(batch.share, result.rows)
    except (TransientError, PermanentError) as error:
        raise type(error)(f"{error}; {result.stored:,} rows are stored, and importing all again is harmless") from error
    return result


def _json_line(reject: Reject) -> bytes:
    option = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    try:
        return orjson.dumps(asdict(reject), default=str, option=option)
    except orjson.JSONEncodeError:
        # Text with bytes that are not UTF-8: shown, not lost.
        return orjson.dumps({"number": reject.number, "reason": reject.reason, "row": ascii(reject.row)}, option=option)
