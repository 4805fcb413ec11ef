"""Runs by turns with those of a simpler server, which tell whether the machine is fit to measure anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from deploy.bench.latencies import Outcome

T = TypeVar("T")
#: How many runs there are at most, for each that is wanted.
_TRIES = 3


class Between(Generic[T]):
    """Runs, each between two of another server that tell whether the machine is fit.

    Attributes:
        all: in order.
        fit: those for which the other's p99 was below the limit before and after; all if there is no other.
        controls: of the other.
    """

    def __init__(self, own: Callable[[], T], control: Callable[[], Outcome] | None, *, limit_ms: float) -> None:
        self.all: list[T] = []
        self.fit: list[T] = []
        self.controls: list[Outcome] = []
        self._own, self._control = own, control
        self._limit_ms = limit_ms

    def found(self, wanted: int) -> list[T]:
        """So many that are fit; if there are too few of them among three times as many, all."""
        was_fit = self._is_fit()
        while len(self.fit) < wanted and len(self.all) < _TRIES * wanted:
            self.all.append(self._own())
            before, was_fit = was_fit, self._is_fit()
            if before and was_fit:
                self.fit.append(self.all[-1])
        return self.fit if len(self.fit) >= wanted else self.all

    def note(self, found: list[T]) -> str:
        """How they were found."""
        said = f"of {len(self.all)} runs, {len(found)} count"
        if not self.controls:
            return said
        return f"{said}; {len(self.fit)} were between two of nginx below {self._limit_ms:g} ms"

    def _is_fit(self) -> bool:
        if self._control is None:
            return True
        self.controls.append(self._control())
        return self.controls[-1].ms(0.99)[0] < self._limit_ms
