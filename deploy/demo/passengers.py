"""Who asks about which flight, and when.

The data has no request log, so this is an assumption: people ask about flights from six hours before schedule until
an hour and a half after (somebody has to meet them), at a constant rate, and a few flights draw most of them: the
flight that ranks r-th in popularity is asked for in proportion to 1/r.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deploy.demo.events import Departure

BEFORE_MIN = 360
AFTER_MIN = 90
#: Exponent of the Zipf law; 1 is what most request logs of the web come close to.
SKEW = 1.0
#: How often the set of flights that people ask about is worked out anew, in simulated minutes.
_STEP_MIN = 5


class Passengers:
    """Draws flights; the same seed draws the same ones."""

    def __init__(self, departures: Sequence[Departure], seed: int = 1) -> None:
        self._departures = departures
        self._sched_min = np.array([d.sched_min for d in departures])
        self._random = np.random.default_rng(seed)
        ranks = self._random.permutation(len(departures)) + 1
        self._weights = 1.0 / ranks**SKEW
        self._step = -1
        self._open = np.array([], np.intp)
        self._cumulative = np.array([])

    def draw(self, minute: float) -> Departure | None:
        """A flight that somebody asks about at this minute; None when there is none to ask about."""
        self._look(minute)
        if not len(self._open):
            return None
        at = self._random.random() * self._cumulative[-1]
        return self._departures[int(self._open[np.searchsorted(self._cumulative, at, side="right")])]

    def hottest(self, minute: float, count: int) -> list[Departure]:
        """The flights that are asked about most at this minute, the first most of all."""
        self._look(minute)
        order = np.argsort(-self._weights[self._open], kind="stable")[:count]
        return [self._departures[int(i)] for i in self._open[order]]

    def _look(self, minute: float) -> None:
        step = int(minute // _STEP_MIN)
        if step != self._step:
            self._step = step
            after = minute - self._sched_min
            self._open = np.flatnonzero((after >= -BEFORE_MIN) & (after <= AFTER_MIN))
            self._cumulative = np.cumsum(self._weights[self._open])
