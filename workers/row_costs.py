"""What a row of each model costs, measured where it is computed."""

from __future__ import annotations

from precompute.keys import ROW_COSTS
from precompute.store import Store, checked
from precompute.updates import Command

#: Weight of what was measured before, against as much that is new.
_MEMORY = 0.7


def add(store: Store, model: str, rows: int, seconds: float) -> None:
    """Somebody has computed and stored so many rows in this time."""
    counts = ((f"{model}:rows", rows), (f"{model}:us", round(seconds * 1e6)))
    commands: list[Command] = [("HINCRBY", ROW_COSTS, name, count) for name, count in counts]
    for reply in store.run(commands) if rows else ():
        checked(reply)


class RowCosts:
    """Seconds for a row, by model, as measured lately."""

    def __init__(self) -> None:
        self._totals: dict[str, tuple[int, int]] = {}
        self._row_s: dict[str, float] = {}

    def look(self, store: Store) -> None:
        """Takes in what has been measured since. Raises StoreUnavailable."""
        flat = store.call("HGETALL", ROW_COSTS)
        self.take({name.decode(): int(count) for name, count in zip(flat[::2], flat[1::2], strict=True)})

    def take(self, counts: dict[str, int]) -> None:
        """`look`, without asking."""
        for name, rows in counts.items():
            model, _, what = name.rpartition(":")
            if what != "rows":
                continue
            us = counts.get(f"{model}:us", 0)
            rows_before, us_before = self._totals.get(model, (0, 0))
            self._totals[model] = rows, us
            if rows > rows_before and us >= us_before:
                row_s = (us - us_before) / (rows - rows_before) / 1e6
                self._row_s[model] = _MEMORY * self._row_s.get(model, row_s) + (1 - _MEMORY) * row_s

    def row_s(self, model: str) -> float:
        """Seconds for one row; 0 while nobody has measured."""
        return self._row_s.get(model, 0.0)
