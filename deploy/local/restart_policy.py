"""When a child that died is started again, and when that is no use any more. Decides only; the clock is
passed in.

A child that dies now and then is back after half a second. One that keeps dying waits twice as long each
time, so that it costs little, up to half a minute. One that dies five times within half a minute never
really ran: somebody has to look, and a stack that stops says so more clearly than a log that scrolls.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartSettings:
    """Limits of restarting one child."""

    first_delay_s: float = 0.5
    factor: float = 2.0
    max_delay_s: float = 30.0
    #: A run this long wipes the slate clean.
    healthy_s: float = 60.0
    give_up_deaths: int = 5
    give_up_within_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Restart:
    """Start the child again after a delay."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Starting it again cannot help."""

    reason: str


class RestartPolicy:
    """Remembers the recent deaths of one child."""

    def __init__(self, settings: RestartSettings) -> None:
        self._settings = settings
        self._deaths: deque[float] = deque(maxlen=settings.give_up_deaths)
        self._next_delay_s = settings.first_delay_s

    def died(self, *, started_s: float, now_s: float) -> Restart | GiveUp:
        """What to do about a child that ran from `started_s` to `now_s`, on one monotonic clock."""
        if now_s - started_s >= self._settings.healthy_s:
            self._deaths.clear()
            self._next_delay_s = self._settings.first_delay_s
        self._deaths.append(now_s)
        if self._is_hopeless(now_s):
            return GiveUp(f"died {len(self._deaths)} times within {now_s - self._deaths[0]:.0f} s")
        delay_s = self._next_delay_s
        self._next_delay_s = min(delay_s * self._settings.factor, self._settings.max_delay_s)
        return Restart(delay_s)

    def _is_hopeless(self, now_s: float) -> bool:
        many = len(self._deaths) == self._settings.give_up_deaths
        return many and now_s - self._deaths[0] <= self._settings.give_up_within_s
