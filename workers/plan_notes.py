"""What the refresher makes of each model's hot keys, noted in the store for people to see."""

from __future__ import annotations

import msgspec

from precompute.keys import hot_plan_key
from precompute.store import Store
from precompute.updates import Command
from workers.refresh_plan import ModelPlan

#: Hottest keys of which the note tells; replicas get a copy of it, however far away.
NAMED = 200
#: A note that is older is of no use: no refresher runs.
KEEP_S = 60


class KeyNote(msgspec.Struct, frozen=True):
    """One hot key: what is expected of it, per second, and whether it is refreshed on a change."""

    requests_per_s: float
    changes_per_s: float
    chance: float
    refreshed: bool


class PlanNote(msgspec.Struct, frozen=True):
    """One model.

    Attributes:
        hot, refreshed: how many keys.
        rows_per_s: what refreshing them takes.
        least_chance: of a request before the next change, below which a refresh is never worthwhile; None for a model
            that is never refreshed.
        row_us: measured cost of a row, 0 if nobody has measured.
    """

    at_ms: int
    hot: int
    refreshed: int
    rows_per_s: float
    least_chance: float | None
    row_us: float
    keys: dict[str, KeyNote]


def write_command(model: str, plan: ModelPlan, at_ms: int) -> Command:
    """Notes a plan."""
    note = PlanNote(
        at_ms,
        len(plan.candidates),
        len(plan.pushed),
        plan.rows_per_s,
        plan.least_chance if plan.least_chance <= 1.0 else None,
        plan.row_s * 1e6,
        {
            c.key: KeyNote(c.requests_per_s, c.changes_per_s, c.chance, c.key in plan.pushed)
            for c in plan.candidates[:NAMED]
        },
    )
    return ("SET", hot_plan_key(model), msgspec.json.encode(note), "EX", KEEP_S)


def read(store: Store, model: str) -> PlanNote | None:
    """The latest note on a model; None if no refresher has written one lately."""
    text = store.call("GET", hot_plan_key(model))
    return None if text is None else msgspec.json.decode(text, type=PlanNote)
