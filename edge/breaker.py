"""Takes a model out that fails, and tries it again now and then. No I/O; the clock is passed in.

Closed, everything passes. `FAILURES` different keys that failed one after the other, or one run that got stuck, open
it for `FIRST_S`; then one trial passes at a time. A trial that succeeds closes it, one that fails opens it for twice as
long, up to `LONGEST_S`.

Why keys and not failures: a client that asks for one broken row again and again must not take the model from everybody.

Why not a library: `purgatory`, `aiobreaker`, `circuitbreaker` and `pybreaker` wrap one call in a decorator or a `with`
block, by a clock of their own, while a batch begins in one turn of the loop and ends in another, or in a thread. Of
these, `purgatory` and `circuitbreaker` let everybody through as soon as the time is over, which is where a hung model
does its harm, and `pybreaker` holds a lock as long as the call takes.
"""

from __future__ import annotations

from collections.abc import Iterable

FAILURES = 5
FIRST_S = 2.0
LONGEST_S = 300.0
#: A trial whose outcome nobody reports is given up.
TRIAL_S = 30.0


class Breaker:
    """One model version's.

    Attributes:
        reason: why it is open; empty while it is closed.
        opened: how often it has been opened.
        since_s: when it was opened first since it was closed.
    """

    __slots__ = ("_failed", "_for_s", "_trial_s", "_until_s", "opened", "reason", "since_s")

    def __init__(self) -> None:
        self.reason = ""
        self.opened = 0
        self.since_s = 0.0
        self._failed: set[str] = set()
        self._for_s = 0.0
        self._until_s = 0.0
        self._trial_s = -TRIAL_S

    def refuses_s(self, now_s: float) -> float:
        """For how many seconds more nothing passes; 0 if something may."""
        if not self.reason:
            return 0.0
        return max(0.0, self._until_s - now_s, self._trial_s + TRIAL_S - now_s)

    def enter(self, now_s: float) -> bool:
        """Whether a run may begin; while it is open, that is the trial."""
        if not self.reason:
            return True
        if self.refuses_s(now_s) > 0:
            return False
        self._trial_s = now_s
        return True

    def succeeded(self) -> None:
        """A run has brought a prediction."""
        if self.reason or self._failed:
            self.reason = ""
            self._failed.clear()
            self._for_s = 0.0
            self._trial_s = -TRIAL_S

    def failed(self, keys: Iterable[str], reason: str, now_s: float) -> None:
        """A run has failed for all of its keys."""
        self._failed.update(keys)
        if self.reason or len(self._failed) >= FAILURES:
            self.open(reason, now_s)

    def gave_up(self) -> None:
        """A run has brought nothing, and not by the model's fault."""
        self._trial_s = -TRIAL_S

    def open(self, reason: str, now_s: float, for_s: float = FIRST_S) -> None:
        """Something has failed that must not be tried again soon; `for_s` is for the first time."""
        self._for_s = min(LONGEST_S, 2 * self._for_s or for_s)
        self._until_s = now_s + self._for_s
        self._trial_s = -TRIAL_S
        self._failed.clear()
        if not self.reason:
            self.since_s = now_s
        self.reason = reason
        self.opened += 1
