"""How often entities change, averaged exponentially, as far as this process sees the logs. Pure.

Counts are small: an entity that has happened not to change for a while looks calmer than it is, and the planner would
fall for just those. So an entity is given one change more than was seen, at the mean rate of the entities of its view,
which matters less the longer it has been watched.
"""

from __future__ import annotations

import math
from collections import Counter

#: Entities remembered; those that have not changed for longest are forgotten first. About 300 bytes each.
MAX_ENTITIES = 50_000
#: Without more history than this, a change says little about how often they come.
LEAST_HISTORY_S = 60.0

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
        total = self._faded(self._totals.get(entity[0]), now_s)
        if not total:
            return 0.0
        history_s = self._history_s(now_s)
        mean_gap_s = history_s * self._known[entity[0]] / total
        return (self._faded(self._seen.get(entity), now_s) + 1.0) / (history_s + mean_gap_s) / self.share

    def _faded(self, counted: tuple[float, float] | None, now_s: float) -> float:
        if counted is None:
            return 0.0
        count, at_s = counted
        return count * math.exp2(-max(0.0, now_s - at_s) / self._half_life_s)

    def _history_s(self, now_s: float) -> float:
        """Seconds that the faded counts speak of; less than the half-life has it at first."""
        watched = self._faded((1.0, self._began_s), now_s)
        return max(LEAST_HISTORY_S, self._half_life_s / math.log(2) * (1.0 - watched))
