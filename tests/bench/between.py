"""Runs by turns with those of a simpler server, which tell when the machine is fit to measure anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from deploy.bench.latencies import Outcome

T = TypeVar("T")
#: What p99 the other server may have for a run beside its own to be fit: on a machine that does nothing else, nginx
#: has 0.2 ms.
CALM_MS = 0.5


class Between(Generic[T]):
    """Runs, each between two of another server; those count that lie between the calmest.

    Attributes:
        runs: in order, each with the larger p99 in ms of its two neighbours; 0 if there is no other server.
        controls: of the other server.
    """

    def __init__(self, own: Callable[[], T], control: Callable[[], Outcome] | None) -> None:
        self.runs: list[tuple[T, float]] = []
        self.controls: list[Outcome] = []
        self._own, self._control = own, control
        self._counted: list[int] = []

    def found(self, wanted: int, at_most: int) -> list[T]:
        """So many that are fit; if there are fewer among `at_most`, those that come nearest to it."""
        before_ms = self._controlled_ms()
        while self._fit() < wanted and len(self.runs) < at_most:
            run, after_ms = self._own(), self._controlled_ms()
            self.runs.append((run, max(before_ms, after_ms)))
            before_ms = after_ms
        self._counted = sorted(range(len(self.runs)), key=lambda at: self.runs[at][1])[:wanted]
        return [self.runs[at][0] for at in self._counted]

    def counted_controls(self) -> list[Outcome]:
        """Those before and after a run that counts."""
        beside = {at + step for at in self._counted for step in (0, 1)}
        return [self.controls[at] for at in sorted(beside)]

    def note(self) -> str:
        """How what was found was chosen."""
        said = f"{len(self._counted)} of {len(self.runs)} runs count"
        if not self.controls:
            return said
        return f"{said}, those beside runs of nginx below {self.runs[self._counted[-1]][1]:.2f} ms"

    def _fit(self) -> int:
        return sum(ms < CALM_MS for _, ms in self.runs)

    def _controlled_ms(self) -> float:
        if self._control is None:
            return 0.0
        self.controls.append(self._control())
        return self.controls[-1].ms(0.99)[0]
