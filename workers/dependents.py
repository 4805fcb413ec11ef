"""Which hot keys depend on an entity: an index in memory, rebuilt now and then, never on the read path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from precompute.errors import PermanentError
from precompute.models import Model
from workers.change_rates import Entity
from workers.pending import HotKey


class HotEntities:
    """What each hot key depends on; parsing a key costs more than everything else about it."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, tuple[Entity, ...]]] = {}

    def look(self, model: Model, texts: Iterable[str]) -> Mapping[str, tuple[Entity, ...]]:
        """The entities of these keys, which replace those asked for before; what is no key is left out."""
        known = self._of.get(model.name, {})
        found = {text: known.get(text) or _entities(model, text) for text in texts}
        self._of[model.name] = {text: entities for text, entities in found.items() if entities}
        return self._of[model.name]

    def of(self, model: str, text: str) -> tuple[Entity, ...]:
        """The entities of a key that was looked at."""
        return self._of.get(model, {}).get(text, ())


class Dependents:
    """(view, entity) -> keys to refresh, over all models."""

    def __init__(self) -> None:
        self._by_entity: dict[Entity, list[HotKey]] = {}
        self.keys = 0

    def rebuild(self, keys: Sequence[HotKey], entities: HotEntities) -> None:
        """Takes in which keys are refreshed from now on."""
        index: dict[Entity, list[HotKey]] = {}
        for key in keys:
            for entity in entities.of(key.model, key.text):
                index.setdefault(entity, []).append(key)
        self._by_entity = index
        self.keys = len(keys)

    def of(self, changes: Iterable[Entity]) -> Iterator[HotKey]:
        """The keys behind changed entities; a key may come more than once."""
        for change in changes:
            yield from self._by_entity.get(change, ())


def _entities(model: Model, text: str) -> tuple[Entity, ...]:
    try:
        found = model.entities(model.parse_key(text))
    except PermanentError:
        return ()
    return tuple(zip((d.view for d in model.dependencies), found, strict=True))
