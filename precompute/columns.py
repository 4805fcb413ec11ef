"""Which column of a file is what, decided once from its header."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from precompute.errors import ConfigError
from precompute.views import Field, Missing, View

ENTITY_COLUMN = "entity"
TIME_COLUMN = "event_time"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a file is read for. Without a `time_column`, `event_time` is used if the file has it, and else `now_ms`."""

    view: View
    entity_column: str
    time_column: str | None
    now_ms: int


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one file: where entity, time and fields are, and what nobody asked for.

    `fields` are those the file has, each with its position; `time` is None if events happen now.
    """

    entity: int
    time: int | None
    fields: tuple[tuple[Field, int], ...]
    ignored: tuple[str, ...]


def match_columns(wanted: Wanted, header: Sequence[str], file: str) -> Columns:
    """Finds the columns.

    Raises:
        ConfigError: no column for the entity, for the time that was asked for, or for a field that may not be missing.
    """
    at = {name: i for i, name in enumerate(header)}
    if len(at) < len(header):
        twice = next(name for i, name in enumerate(header) if name in header[:i])
        raise ConfigError(f"{file}: the header names {twice!r} twice")
    has = f"it has: {', '.join(header)}"
    if wanted.entity_column not in at:
        raise ConfigError(f"{file}: no column {wanted.entity_column!r}; {has}; name it with --entity-column")
    if wanted.time_column and wanted.time_column not in at:
        raise ConfigError(f"{file}: no column {wanted.time_column!r} for the event time; {has}")
    fields = tuple((field, at[field.name]) for field in wanted.view.fields if field.name in at)
    for field in wanted.view.fields:
        if field.name not in at and field.missing is Missing.ERROR:
            what = f"{wanted.view.name}.{field.name} ({field})"
            raise ConfigError(f"{file}: no column for {what}, which has no policy for missing; {has}")
    time = at.get(wanted.time_column or TIME_COLUMN)
    used = {at[wanted.entity_column], time, *(position for _, position in fields)}
    ignored = tuple(name for name, position in at.items() if position not in used)
    return Columns(at[wanted.entity_column], time, fields, ignored)
