"""How many keys may be recomputed now: a steady rate, with at most one second of it saved up."""

from __future__ import annotations


class Allowance:
    """A token bucket of keys; full at first."""

    def __init__(self, keys_per_s: float) -> None:
        self._rate = keys_per_s
        self._saved = keys_per_s
        self._at_s: float | None = None

    def available(self, now_s: float) -> int:
        """Keys that may be spent now."""
        if self._at_s is not None:
            self._saved = min(self._rate, self._saved + self._rate * max(0.0, now_s - self._at_s))
        self._at_s = now_s
        return int(self._saved)

    def spend(self, keys: int) -> None:
        """These were queued."""
        self._saved -= keys
