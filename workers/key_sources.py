"""Where the keys of a job come from; each source is read once, piece by piece, in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import orjson

from precompute import hotkeys
from precompute.errors import InvalidKey, PermanentError
from precompute.job_record import Failure
from precompute.key_text import MAX_KEY_BYTES, SEPARATOR, escape_part
from precompute.keys import row_key, row_prefix, schedule_key
from precompute.layouts import Layouts
from precompute.manifest import Project
from precompute.models import ENTITY, KeySource, Model
from precompute.rows import Layout
from precompute.store import Store
from workers.errors import JobRefused

#: What one SCAN may look at, and one MGET may read.
PAGE = 1000
#: All hot keys there are: the scheduler keeps fewer.
MAX_HOT = 10_000_000
#: Rows may be images: a page of them is read in pieces of about this size.
PAGE_BYTES = 4 << 20
#: A line longer than any key with its context is cut off rather than read.
MAX_LINE_BYTES = 4 * MAX_KEY_BYTES

Listed: TypeAlias = str | Failure


@dataclass(frozen=True, slots=True)
class AllKeys:
    """Every key that the model's `all_keys` view has a row for."""

    def __str__(self) -> str:
        return "all keys"


@dataclass(frozen=True, slots=True)
class KeysFile:
    """A text file with one key per line; blank lines and lines that begin with `#` are skipped."""

    path: Path

    def __str__(self) -> str:
        return f"file {self.path}"


@dataclass(frozen=True, slots=True)
class HotKeys:
    """The keys that are asked for most."""

    count: int

    def __str__(self) -> str:
        return f"hot {self.count:,}"


@dataclass(frozen=True, slots=True)
class GivenKeys:
    """Keys named one by one."""

    keys: Sequence[str]

    def __str__(self) -> str:
        return f"{len(self.keys):,} given"


@dataclass(frozen=True, slots=True)
class DependentKeys:
    """The hot keys that depend on a row; the entity in its canonical spelling."""

    view: str
    entity: str

    def __str__(self) -> str:
        return f"hot keys of {self.view} {self.entity}"


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """The keys that a declared job was given when it was declared."""

    schedule: str
    file: str

    def __str__(self) -> str:
        return f"keys of {self.file}"


Source: TypeAlias = AllKeys | KeysFile | HotKeys | GivenKeys | DependentKeys | StoredKeys


def source_of(data: Mapping[str, Any], base: Path = Path()) -> Source:
    """Reads a source as `[jobs.NAME]` has it: one of `all`, `hot`, `keys`, `dependents`, or `stored`.

    Args:
        base: where a relative path begins.
    """
    match data:
        case {"hot": count}:
            return HotKeys(count)
        case {"keys": path}:
            return KeysFile(base / path)
        case {"dependents": {"view": view, "entity": entity}}:
            return DependentKeys(view, entity)
        case {"stored": schedule, "file": file}:
            return StoredKeys(schedule, file)
        case _:
            return AllKeys()


def source_data(source: Source) -> dict[str, object]:
    """The inverse of `source_of`; empty for keys that were named one by one."""
    match source:
        case AllKeys():
            return {"all": True}
        case HotKeys(count):
            return {"hot": count}
        case KeysFile(path):
            return {"keys": str(path.absolute())}
        case DependentKeys(view, entity):
            return {"dependents": {"view": view, "entity": entity}}
        case StoredKeys(schedule, file):
            return {"stored": schedule, "file": file}
        case GivenKeys():
            return {}


def pack_keys(keys: Sequence[str]) -> bytes:
    """Keys as `StoredKeys` finds them."""
    return zlib.compress(orjson.dumps(keys), 6)


def list_keys(source: Source, store: Store, project: Project, model: Model) -> Iterator[list[Listed]]:
    """The keys of a source, page by page; a `Failure` stands for what names no key.

    A row that Redis shows twice because its table shrank meanwhile is listed twice; computing it twice does no harm.

    Raises:
        JobRefused: the model does not say where all keys are, or the file cannot be read.
        StoreUnavailable: Redis went away.
    """
    match source:
        case AllKeys():
            if model.all_keys is None:
                raise JobRefused(
                    f"model {model.name!r} does not say where all its keys are; "
                    f"add all_keys to [models.{model.name}], or name keys in a file"
                )
            return _all_keys(model.all_keys, store, project)
        case KeysFile(path):
            return read_keys_file(path)
        case HotKeys(count):
            return _paged([key for key, _ in hotkeys.top(store, model.name, count)])
        case GivenKeys(keys):
            return _paged(keys)
        case DependentKeys(view, entity):
            return _paged(_dependents(store, model, view, entity))
        case StoredKeys(schedule):
            packed = store.call("GET", schedule_key(schedule, "keys"))
            return _paged(orjson.loads(zlib.decompress(packed)) if packed else [])


def _dependents(store: Store, model: Model, view: str, entity: str) -> list[str]:
    at = [dependency.view for dependency in model.dependencies].index(view)
    found = []
    for text, _ in hotkeys.top(store, model.name, MAX_HOT):
        try:
            entities = model.entities(model.parse_key(text))
        except PermanentError:
            # Counted before the model's key was declared anew.
            continue
        if entities[at] == entity:
            found.append(text)
    return found


def _paged(keys: Sequence[str]) -> Iterator[list[Listed]]:
    for at in range(0, len(keys), PAGE):
        yield list(keys[at : at + PAGE])


def read_keys_file(path: Path) -> Iterator[list[Listed]]:
    """The keys of a text file; a `Failure` for a line that holds none. Raises JobRefused if it cannot be read."""
    page: list[Listed] = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(_lines(file), 1):
                page += _line(line, number)
                if len(page) >= PAGE:
                    yield page
                    page = []
    except OSError as error:
        raise JobRefused(f"cannot read {path}: {error.strerror}") from None
    yield page


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    """The lines of a file; None for one that is too long."""
    while line := file.readline(MAX_LINE_BYTES):
        whole = line.endswith(b"\n") or len(line) < MAX_LINE_BYTES
        yield line if whole else None
        while not whole:
            line = file.readline(MAX_LINE_BYTES)
            whole = line.endswith(b"\n") or len(line) < MAX_LINE_BYTES


def _line(line: bytes | None, number: int) -> list[Listed]:
    if line is None:
        return [Failure(f"line {number}", f"is longer than {MAX_LINE_BYTES} bytes")]
    try:
        text = line.decode().strip()
    except UnicodeDecodeError:
        return [Failure(f"line {number}", "is not UTF-8")]
    return [] if not text or text.startswith("#") else [text]


def _all_keys(source: KeySource, store: Store, project: Project) -> Iterator[list[Listed]]:
    layouts = Layouts(project)
    layout = layouts.current(source.view)
    reader = None
    if any(part != ENTITY for part in source.parts):
        layouts.learn_all(store, [source.view])
        reader = _RowReader(source, store, layouts, layout)
    for names in _row_names(store, row_prefix(source.view).encode()):
        yield reader.keys(names) if reader else [SEPARATOR.join([name] * len(source.parts)) for name in names]


def _row_names(store: Store, prefix: bytes) -> Iterator[list[str]]:
    """Entities of all rows of a view, page by page."""
    cursor = b"0"
    while True:
        cursor, names = store.call("SCAN", cursor, "MATCH", prefix + b"*", "COUNT", PAGE)
        yield [name[len(prefix) :].decode() for name in names]
        if cursor == b"0":
            return


class _RowReader:
    """Spells keys out of rows: the entity as it stands in the row's name, string fields escaped."""

    def __init__(self, source: KeySource, store: Store, layouts: Layouts, layout: Layout) -> None:
        self._view = source.view
        self._store = store
        self._layouts = layouts
        self._layout = layout
        texts = {f.name: i for i, f in enumerate(layout.strings)}
        self._parts = [(part, texts.get(part)) for part in source.parts]
        self._piece = max(1, min(PAGE, PAGE_BYTES // layout.fixed_size))

    def keys(self, names: list[str]) -> list[Listed]:
        """A key for each row that still exists."""
        found: list[Listed] = []
        for at in range(0, len(names), self._piece):
            piece = names[at : at + self._piece]
            rows = self._store.call("MGET", *(row_key(self._view, name) for name in piece))
            known = self._layouts.known(self._view, rows)
            found += [self._key(n, row) for n, row in zip(piece, known, strict=True) if row is not None]
        return found

    def _key(self, entity: str, row: bytes) -> Listed:
        texts = self._layout.texts(row)
        parts = []
        for part, index in self._parts:
            try:
                parts.append(entity if index is None else escape_part(texts[index]))
            except InvalidKey:
                return Failure(entity, f"the row of {self._view} {entity!r} has no {part}")
        return SEPARATOR.join(parts)
