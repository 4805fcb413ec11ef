"""Which keys an audit asks about: hot ones, and ones picked at random from all that are known."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from precompute import hotkeys
from precompute.errors import PermanentError
from precompute.manifest import Project
from precompute.models import Key, Model
from precompute.store import Store
from workers.key_listing import list_keys
from workers.key_sources import AllKeys

#: Hot keys to choose from; what is asked for less is among the random ones.
_HOT = 1000


class KeyPool:
    """The keys of one model; the walk over all known keys goes on from draw to draw."""

    def __init__(self, store: Store, project: Project, model: Model, random: Random) -> None:
        self._store = store
        self._project = project
        self._model = model
        self._random = random
        self._known = self._walk()

    def draw(self, count: int) -> list[Key]:
        """Up to `count` keys in random order, half of them hot; fewer, or none, where fewer are known.

        Raises:
            StoreUnavailable: Redis is away.
        """
        rated = hotkeys.top(self._store, self._model.name, _HOT)
        texts = self._weighted(rated, count // 2 if self._model.all_keys else count)
        if self._model.all_keys:
            texts += self._some_known(count - len(texts))
        self._random.shuffle(texts)
        return [key for text in texts if (key := self._parsed(text)) is not None]

    def _weighted(self, rated: list[tuple[str, float]], count: int) -> list[str]:
        if not rated:
            return []
        keys, rates = zip(*rated, strict=True)
        return self._random.choices(keys, rates, k=count)

    def _some_known(self, count: int) -> list[str]:
        """From the next page that holds any; a walk that has met its end begins again, once."""
        for _ in range(2):
            for page in self._known:
                if page:
                    return self._random.choices(page, k=count)
            self._known = self._walk()
        return []

    def _walk(self) -> Iterator[list[str]]:
        for page in list_keys(AllKeys(), self._store, self._project, self._model):
            yield [item for item in page if isinstance(item, str)]

    def _parsed(self, text: str) -> Key | None:
        try:
            return self._model.parse_key(text)
        except PermanentError:
            return None  # Counted under a declaration that has changed since, or its context has no default.
