"""Removes stored predictions made from rows that have been deleted.

The deletion's log record has made them stale everywhere already, and nobody serves such an entry even as stale. But
somebody who asks to be forgotten should not have to wait for a TTL. No index leads from a row to its predictions, so
the names of all entries are looked through, in slices that let others in between. An entry that a worker was computing
meanwhile may still arrive; it is as useless as any other, and lives as long as its TTL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass

from precompute.errors import PermanentError
from precompute.key_text import SEPARATOR, canonical_part
from precompute.keys import ENTRY_PREFIX
from precompute.manifest import Project
from precompute.models import Model
from precompute.store import Store

#: Names that one SCAN looks at: a fraction of a millisecond, for a server that others are waiting for.
SCAN_NAMES = 1000


@dataclass(slots=True)
class Forgotten:
    """What became of the entries.

    Attributes:
        seen: entries looked at.
        removed: entries that were made from one of the rows.
    """

    seen: int = 0
    removed: int = 0


class Dependence:
    """Whether an entry was made from one of some rows, by its name alone."""

    def __init__(self, project: Project, view: str, entities: Iterable[str]) -> None:
        self._models = project.models
        self._view = project.view(view).name
        self._entities: Set[str] = frozenset(map(canonical_part, entities))

    def holds(self, name: bytes) -> bool:
        """Whether the entry of this name depends on them; where that cannot be told any more, whether it names one."""
        _, _, rest = name.decode("utf-8", "replace").partition(SEPARATOR)
        model_name, _, rest = rest.partition(SEPARATOR)
        _, _, text = rest.partition(SEPARATOR)
        model = self._models.get(model_name)
        entities = None if model is None else self._of(model, text)
        if entities is None:
            # An earlier declaration's entry: nobody knows its views, so that the name has to do.
            return not self._entities.isdisjoint(text.partition("?")[0].split(SEPARATOR))
        return not self._entities.isdisjoint(entities)

    def _of(self, model: Model, text: str) -> list[str] | None:
        try:
            entities = model.entities(model.parse_key(text))
        except PermanentError:
            return None
        return [e for d, e in zip(model.dependencies, entities, strict=True) if d.view == self._view]


def forget(
    store: Store,
    project: Project,
    view: str,
    entities: Iterable[str],
    on_progress: Callable[[float | None, int], None] = lambda share, count: None,
) -> Forgotten:
    """Removes what was made from these rows; call it once they are deleted.

    Args:
        on_progress: told the share of all keys looked at so far, and how many entries those were.

    Raises:
        UnknownView: no such view.
        StoreUnavailable: some may be left; doing it again is harmless.
    """
    dependence, result = Dependence(project, view, entities), Forgotten()
    total, looked = max(1, int(store.call("DBSIZE"))), 0
    for names in _entry_names(store):
        looked += SCAN_NAMES
        result.seen += len(names)
        doomed = [name for name in names if dependence.holds(name)]
        if doomed:
            result.removed += int(store.call("UNLINK", *doomed))
        on_progress(min(1.0, looked / total), result.seen)
    return result


def _entry_names(store: Store) -> Iterator[list[bytes]]:
    cursor = b"0"
    while True:
        cursor, names = store.call("SCAN", cursor, "MATCH", f"{ENTRY_PREFIX}*", "COUNT", SCAN_NAMES)
        yield names
        if cursor == b"0":
            return
