"""The keys of a source; each is read once, piece by piece, in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import orjson

from precompute import hotkeys
from precompute.errors import InvalidKey, PermanentError
from precompute.job_record import Failure
from precompute.key_text import SEPARATOR, escape_part
from precompute.keys import row_key, row_prefix, schedule_key
from precompute.layouts import Layouts
from precompute.manifest import Project
from precompute.models import ENTITY, KeySource, Model
from precompute.rows import Layout
from precompute.store import Store
from workers.errors import JobRefused
from workers.key_sources import AllKeys, DependentKeys, GivenKeys, HotKeys, KeysFile, Source, StoredKeys
from workers.keys_file import PAGE, Listed, read_keys_file

#: All hot keys there are: the scheduler keeps fewer.
MAX_HOT = 10_000_000
#: Rows may be images: a page of them is read in pieces of about this size.
PAGE_BYTES = 4 << 20


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
