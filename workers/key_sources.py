"""What a job computes: where its keys come from, and how that is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias


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
