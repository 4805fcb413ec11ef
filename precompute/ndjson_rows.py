"""Feature rows from NDJSON: one JSON object a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from precompute.columns import TIME_COLUMN, Wanted
from precompute.errors import RowRejected
from precompute.event_times import event_ms
from precompute.features import Row
from precompute.row_batches import Batch, BatchBuilder
from precompute.source_file import MAX_LINE_BYTES, SourceFile, readable
from precompute.text_values import unflattened

#: As many as somebody reads.
_IGNORED_NAMES = 20


class NdjsonRows:
    """The rows of one NDJSON file."""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self._path = path
        self._wanted = wanted
        self._decode = msgspec.json.Decoder(dict[str, object]).decode
        self._fields = {field.name: field for field in wanted.view.fields}
        self._shaped = [field for field in wanted.view.fields if len(field.shape) > 1]
        self._ours = {wanted.entity_column, wanted.time_column or TIME_COLUMN}
        self._ignored: set[str] = set()

    @property
    def ignored(self) -> tuple[str, ...]:
        """The first names that no field has asked for."""
        return tuple(sorted(self._ignored))

    def __iter__(self) -> Iterator[Batch]:
        with SourceFile(self._path) as file, readable(self._path):
            numbered = _numbered(iter(lambda: file.stream.readline(MAX_LINE_BYTES), b""))
            yield from BatchBuilder(self._wanted.view, self._row, _explain).fill(numbered, file.share)

    def _row(self, line: object) -> Row:
        assert isinstance(line, bytes)  # noqa: S101 - what `_numbered` yields
        try:
            values = self._decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RowRejected(f"not a JSON object: {error}") from None
        entity = values.get(self._wanted.entity_column)
        if isinstance(entity, bool) or not isinstance(entity, str | int):
            raise RowRejected(f"{self._wanted.entity_column!r} is {entity!r:.60}, not a text or a whole number")
        event = self._event_ms(values)
        return Row(str(entity), self._known(values), event)

    def _event_ms(self, values: dict[str, object]) -> int:
        name = self._wanted.time_column
        if name is None and TIME_COLUMN not in values:
            return self._wanted.now_ms
        return event_ms(values.get(name or TIME_COLUMN))

    def _known(self, values: dict[str, object]) -> dict[str, object]:
        for field in self._shaped:
            values[field.name] = unflattened(field, values.get(field.name))
        if values.keys() <= self._fields.keys():
            return values
        for name in values.keys() - self._fields.keys() - self._ours:
            if len(self._ignored) < _IGNORED_NAMES:
                self._ignored.add(name)
        return {name: value for name, value in values.items() if name in self._fields}


def _numbered(lines: Iterator[bytes]) -> Iterator[tuple[int, object]]:
    """Each line with its number; blank ones are no rows."""
    for number, line in enumerate(lines, 1):
        if not line.isspace():
            yield number, line


def _explain(line: object) -> object:
    assert isinstance(line, bytes)  # noqa: S101 - what `_numbered` yields
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return line[:1000].decode(errors="replace").rstrip("\r\n")
