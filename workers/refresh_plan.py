"""Puts together what is known about hot keys, and decides which of them are refreshed on a change. Pure.

Between models the budget goes to where a second of work saves most. `always` is not weighed, but comes first and is
counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from precompute.models import Model
from workers.change_rates import ChangeRates
from workers.dependents import HotEntities
from workers.pending import HotKey
from workers.planner import Candidate, Rule, affordable, choose, worth
from workers.request_rates import RequestRates

#: Above whatever `worth` may come to.
_FIRST = 1e9


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """What is made of one model's hot keys.

    Attributes:
        candidates: all of them, hottest first.
        pushed: those to refresh on a change.
        least_chance: from which a key is worthwhile at all.
    """

    candidates: Sequence[Candidate]
    pushed: Mapping[str, HotKey]
    least_chance: float
    row_s: float

    @property
    def rows_per_s(self) -> float:
        """What refreshing will take."""
        return sum(c.changes_per_s * self.pushed[c.key].rows for c in self.candidates if c.key in self.pushed)


@dataclass(frozen=True, slots=True)
class HotScores:
    """A model's hot keys as edges counted them, hottest first, and when that was merged."""

    rated: Sequence[tuple[str, float]]
    merged_ms: int


class RefreshPlanner:
    """Remembers what it has learnt about requests."""

    def __init__(self, half_life_s: float, changes: ChangeRates, rule: Rule | None = None) -> None:
        self._half_life_s = half_life_s
        self._rule = rule or Rule()
        self._changes = changes
        self._requests: dict[str, RequestRates] = {}
        self.entities = HotEntities()

    def plan(
        self,
        models: Mapping[str, Model],
        hot: Mapping[str, HotScores],
        row_s: Mapping[str, float],
        rows_per_s: float,
        now_s: float,
        versions: Mapping[str, int] | None = None,
    ) -> dict[str, ModelPlan]:
        """What to refresh from now on.

        Args:
            row_s: measured seconds for a row.
            rows_per_s: what all models together may take.
            versions: with how many versions each key of a model is computed; with one where nothing is said.
        """
        copies = versions or {}
        plans = {
            name: self._of(models[name], scores, row_s.get(name, 0.0), copies.get(name, 1), now_s)
            for name, scores in hot.items()
        }
        offers = [
            (key.worth, candidate.changes_per_s * key.rows)
            for plan in plans.values()
            for candidate in plan.candidates
            if (key := plan.pushed.get(candidate.key)) is not None
        ]
        least = affordable(offers, rows_per_s)
        return {name: _cut(plan, least) for name, plan in plans.items()}

    def _of(self, model: Model, scores: HotScores, row_s: float, rows: int, now_s: float) -> ModelPlan:
        refresh = model.policy.refresh
        if refresh == "never":
            return ModelPlan((), {}, math.inf, row_s)
        rates = self._requests.setdefault(model.name, RequestRates(self._half_life_s))
        rates.observe(dict(scores.rated), scores.merged_ms)
        changes_per_s = self._changes.at(now_s)
        candidates = [
            Candidate(text, rates.per_s(text), sum(map(changes_per_s, entities)))
            for text, entities in self.entities.look(model, (text for text, _ in scores.rated)).items()
        ]
        if refresh == "always":
            every = {c.key: HotKey(model.name, c.key, _FIRST + c.requests_per_s, rows) for c in candidates}
            return ModelPlan(candidates, every, 0.0, row_s)
        # A request finds one of the rows that a key takes; the others are for units of other arms.
        key_s = row_s * rows
        choice = choose(candidates, self._rule, key_s)
        pushed = {c.key: HotKey(model.name, c.key, worth(c, self._rule, key_s), rows) for c in choice.pushed}
        return ModelPlan(candidates, pushed, choice.least, row_s)


def _cut(plan: ModelPlan, least: float) -> ModelPlan:
    kept = {text: key for text, key in plan.pushed.items() if key.worth >= least}
    return ModelPlan(plan.candidates, kept, plan.least_chance, plan.row_s)
