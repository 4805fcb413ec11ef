"""Runs of a server by turns with those of a simpler one, which tells whether the machine is fit to measure anything."""

from __future__ import annotations

from deploy.bench.generator import Generator
from deploy.bench.latencies import Outcome
from tests.bench.cores import undisturbed


class Between:
    """Runs of one server, each between two runs of another that tells whether the machine is fit.

    Attributes:
        all: of the server, in order.
        fit: those for which the other's p99 was below the limit before and after; all if there is no other.
        controls: of the other.
    """

    def __init__(
        self, own: Generator, control: Generator | None, seconds: float, rate_per_s: float, *, limit_ms: float
    ) -> None:
        self.all: list[Outcome] = []
        self.fit: list[Outcome] = []
        self.controls: list[Outcome] = []
        self._own, self._control = own, control
        self._seconds, self._rate_per_s = seconds, rate_per_s
        self._limit_ms = limit_ms
        self._was_fit = self._is_fit()

    def run(self) -> None:
        """One more."""
        self.all.append(self._measured(self._own))
        was_fit, self._was_fit = self._was_fit, self._is_fit()
        if was_fit and self._was_fit:
            self.fit.append(self.all[-1])

    def _is_fit(self) -> bool:
        if self._control is None:
            return True
        self.controls.append(self._measured(self._control))
        return self.controls[-1].ms(0.99)[0] < self._limit_ms

    def _measured(self, generator: Generator) -> Outcome:
        with undisturbed():
            return generator.open_loop(self._seconds, self._rate_per_s)
