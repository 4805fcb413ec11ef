"""Which hot keys depend on an entity: an index in memory, rebuilt now and then, never on the read path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from precompute.errors import PermanentError
from precompute.models import Model
from workers.expiry import pays


@dataclass(frozen=True, slots=True)
class HotKey:
    """A key worth recomputing when something behind it changes."""

    model: str
    text: str
    requests_per_s: float


class Dependents:
    """(view, entity) -> hot keys, over all models."""

    def __init__(self) -> None:
        self._by_entity: dict[tuple[str, str], list[HotKey]] = {}
        #: What each hot key depends on; parsing a key costs more than everything else here.
        self._entities: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
        self.keys = 0

    def rebuild(self, hot: Mapping[str, Sequence[tuple[str, float]]], models: Mapping[str, Model]) -> None:
        """Takes in what is hot now, by model; what does not pay or is no key is left out."""
        known, self._entities = self._entities, {}
        index: dict[tuple[str, str], list[HotKey]] = {}
        for name, rated in hot.items():
            model = models[name]
            for text, rate in rated:
                if not pays(model.policy, rate):
                    continue
                entities = known.get((name, text)) or _entities(model, text)
                self._entities[name, text] = entities
                key = HotKey(name, text, rate)
                for entity in entities:
                    index.setdefault(entity, []).append(key)
        self._by_entity = index
        self.keys = len(self._entities)

    def of(self, changes: Iterator[tuple[str, str]] | Sequence[tuple[str, str]]) -> Iterator[HotKey]:
        """The hot keys behind changed (view, entity) pairs; a key may come more than once."""
        for change in changes:
            yield from self._by_entity.get(change, ())


def _entities(model: Model, text: str) -> tuple[tuple[str, str], ...]:
    try:
        found = model.entities(model.parse_key(text))
    except PermanentError:
        return ()
    return tuple(zip((d.view for d in model.dependencies), found, strict=True))
