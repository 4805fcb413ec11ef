"""How often entities change, averaged exponentially, as far as this process sees the logs. Pure.

Counts are small: an entity that has happened not to change for a while looks calmer than it is, and the planner would
fall for just those. So an entity is given one change more than was seen, at the mean rate of the entities of its view,
which matters less the longer it has been watched.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

#: Entities remembered; those that have not changed for longest are forgotten first. About 300 bytes each.
MAX_ENTITIES = 50_000
#: Without more history than this, a change says little about how often they come.
LEAST_HISTORY_S = 60.0

#: A count that has faded to this says that nothing changes.
_NEVER = 1e-9

Entity = tuple[str, str]


class ChangeRates:
    """Changes per second by (view, entity).

    Attributes:
        share: of all changes, how many this process gets to see.
    """

    def __init__(self, half_life_s: float, began_s: float, max_entities: int = MAX_ENTITIES) -> None:
        self._half_life_s = half_life_s
        self._began_s = began_s
        self._max_entities = max_entities
        self._seen: dict[Entity, tuple[float, float]] = {}
        self._known: Counter[str] = Counter()
        self._totals: dict[str, tuple[float, float]] = {}
        self.share = 1.0

    def __len__(self) -> int:
        return len(self._seen)

    def note(self, entity: Entity, now_s: float) -> None:
        """It has changed."""
        view = entity[0]
        before = self._seen.pop(entity, None)
        self._known[view] += before is None
        # Taken out and put back, so that the order is that of the last change.
        self._seen[entity] = self._faded(before, now_s) + 1.0, now_s
        self._totals[view] = self._faded(self._totals.get(view), now_s) + 1.0, now_s
        if len(self._seen) > self._max_entities:
            oldest = next(iter(self._seen))
            del self._seen[oldest]
            self._known[oldest[0]] -= 1

    def per_s(self, entity: Entity, now_s: float) -> float:
        """Changes per second; 0 while nothing of its view has been seen to change."""
        return self.at(now_s)(entity)

    def at(self, now_s: float) -> Callable[[Entity], float]:
        """`per_s` at one moment, for asking about many entities."""
        history_s = self._history_s(now_s)
        views = {
            # Per change that was counted; and for one that was not.
            view: 1.0
            / (history_s + history_s * self._known[view] / max(_NEVER, self._faded(total, now_s)))
            / self.share
            for view, total in self._totals.items()
        }
        asked: dict[Entity, float] = {}

        def per_s(entity: Entity) -> float:
            found = asked.get(entity)
            if found is None:
                seen = self._seen.get(entity)
                counted = self._faded(seen, now_s) if seen is not None else 0.0
                found = asked[entity] = (counted + 1.0) * views.get(entity[0], 0.0)
            return found

        return per_s

    def _faded(self, counted: tuple[float, float] | None, now_s: float) -> float:
        if counted is None:
            return 0.0
        count, at_s = counted
        return count * math.exp2(-max(0.0, now_s - at_s) / self._half_life_s)

    def _history_s(self, now_s: float) -> float:
        """Seconds that the faded counts speak of; less than the half-life has it at first."""
        watched = self._faded((1.0, self._began_s), now_s)
        return max(LEAST_HISTORY_S, self._half_life_s / math.log(2) * (1.0 - watched))
