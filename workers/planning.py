"""Keeps the plan up to date: asks the store what is hot and what rows cost, and notes there what was planned."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from precompute import hotkeys
from precompute.keys import WORKER_TALLIES
from precompute.manifest import Project
from precompute.settings import Settings
from precompute.store import Store, checked
from workers import plan_notes, tallies
from workers.change_rates import ChangeRates, Entity
from workers.dependents import Dependents
from workers.pending import HotKey
from workers.refresh_plan import HotScores, RefreshPlanner
from workers.row_costs import RowCosts
from workers.shares import Share
from workers.warm_versions import WarmVersions


class Planning:
    """The plan, and the index of dependents that follows from it."""

    def __init__(self, store: Store, project: Project, settings: Settings, now_s: float) -> None:
        self._store = store
        self._models = project.models
        self._hot_keys = settings.hot_keys
        self._changes = ChangeRates(settings.hot_half_life_s, now_s)
        self._planner = RefreshPlanner(settings.hot_half_life_s, self._changes)
        self._costs = RowCosts()
        self._warm = WarmVersions(store, project)
        self._versions: dict[str, int] = {}
        self._dependents = Dependents()
        self._share = Share()
        self._seen = 0
        self._merged = 0

    def dependents_of(self, changes: Sequence[Entity], now_s: float) -> Iterator[HotKey]:
        """The keys worth refreshing behind these, which are noted as changes."""
        for change in changes:
            self._changes.note(change, now_s)
        self._seen += len(changes)
        return self._dependents.of(changes)

    def rows_of(self, model: str) -> int:
        """What computing one key of a model takes: a row for each version that is kept warm."""
        return self._versions.get(model, 1)

    def replan(self, rows_per_s: float, merged: int, now_s: float) -> None:
        """Decides anew what is worth refreshing.

        Args:
            rows_per_s: what may be spent on it.
            merged: refreshes saved by coalescing since the start, to be counted.

        Raises:
            StoreUnavailable: the plan stays as it was.
        """
        self._count(merged)
        self._costs.look(self._store)
        hot = {}
        for name in self._models:
            rated, state = hotkeys.snapshot(self._store, name, self._hot_keys)
            hot[name] = HotScores(rated, state.merged_ms)
        row_s = {name: self._costs.row_s(name) for name in hot}
        self._versions = {name: max(1, len(self._warm.of(name))) for name in hot}
        plans = self._planner.plan(self._models, hot, row_s, rows_per_s, now_s, self._versions)
        pushed = [key for plan in plans.values() for key in plan.pushed.values()]
        self._dependents.rebuild(pushed, self._planner.entities)
        at_ms = time.time_ns() // 1_000_000
        for reply in self._store.run([plan_notes.write_command(name, plan, at_ms) for name, plan in plans.items()]):
            checked(reply)

    def _count(self, merged: int) -> None:
        """Adds up what all refreshers have seen, which tells how much of it is ours."""
        tallies.add(self._store, coalesced=merged - self._merged)
        self._merged = merged
        seen, self._seen = self._seen, 0
        total = self._store.call("HINCRBY", WORKER_TALLIES, "changes", seen)
        self._changes.share = self._share.look(seen, total)
