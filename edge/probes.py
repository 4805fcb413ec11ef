"""Measures variants that routing does not use: one that was slow may be fast again, and one that never ran is unknown.

A probe computes somebody's key once more with another variant, after that somebody has been answered; what it brings
is kept like any live result, and so the key has the better variant next time. Bounded three ways: one probe at a time,
none while other keys queue, and at most a tenth of the time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edge.held import Held
from edge.live import Live
from edge.profiles import Profiles
from edge.stats import Tier
from precompute.errors import NearcastError
from precompute.models import Key
from precompute.predictor import Predictor

#: A variant is measured again after so long, while its model is asked for; one that would have to be loaded for it, and
#: perhaps take the place of another, after a minute.
EVERY_S, ASLEEP_S = 1.0, 60.0
#: Share of the time that probes may take.
SHARE = 0.1
#: The least time between two, however short they are.
_GAP_S = 0.1
#: A probe that has not ended is measured as this long, and others may begin.
LONGEST_S = 5.0
#: While more keys than this wait for live answers, nobody is probed.
_QUIET = 64


@dataclass(slots=True)
class Pace:
    """When the next probe may begin. No I/O."""

    is_under_way: bool = False
    _not_before_s: float = 0.0

    def pick(self, measured: Iterable[tuple[str, float | None, float]], now_s: float) -> str | None:
        """The variant that is longest without a measurement, if one is due.

        Args:
            measured: variants, when each was measured live last (None for never), and after how long it is due again.
        """
        if self.is_under_way or now_s < self._not_before_s:
            return None
        due = [
            (-1.0 if at_s is None else at_s, name)
            for name, at_s, every_s in measured
            if at_s is None or now_s - at_s >= every_s
        ]
        return min(due)[1] if due else None

    def end(self, took_s: float, now_s: float) -> None:
        """The probe under way has ended."""
        self.is_under_way = False
        self._not_before_s = now_s + max(_GAP_S, took_s * (1 / SHARE - 1))


class Probes:
    """Begins probes.

    Attributes:
        begun: how many there were.
        failed: those that brought no prediction.
    """

    def __init__(self, live: Live[Held], profiles: Profiles, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._live = live
        self._profiles = profiles
        self._clock_s = clock_s
        self._pace = Pace()
        self._task: asyncio.Task[None] | None = None
        self.begun = 0
        self.failed = 0

    def consider(self, predictors: Iterable[Predictor], key: Key) -> None:
        """Somebody has been answered: measures one of these variants with the same key, if one is due."""
        if self._live.waiting > _QUIET:
            return
        by_variant = {p.servable.variant: p for p in predictors}
        measured = [
            (
                name,
                self._profiles.measured_s(p.servable.model.name, name, Tier.LIVE),
                ASLEEP_S if p.to_load_s() else EVERY_S,
            )
            for name, p in by_variant.items()
        ]
        variant = self._pace.pick(measured, self._clock_s())
        if variant is not None:
            self._pace.is_under_way = True
            self.begun += 1
            self._task = asyncio.create_task(self._probe(by_variant[variant], key))

    async def stop(self) -> None:
        """Leaves off."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _probe(self, predictor: Predictor, key: Key) -> None:
        began_s = self._clock_s()
        outcome: Held | Exception
        try:
            async with asyncio.timeout(LONGEST_S):
                (outcome,) = await self._live.predict(predictor, [key])
        except TimeoutError as error:
            outcome = error
        now_s = self._clock_s()
        took_s = now_s - began_s
        self._pace.end(took_s, now_s)
        self.failed += isinstance(outcome, Exception)
        # What has failed before it was computed tells nothing of how long that takes.
        if not isinstance(outcome, NearcastError):
            servable = predictor.servable
            self._profiles.observe(servable.model.name, servable.variant, Tier.LIVE, took_s, now_s)
