"""How many keys may be recomputed now: a steady rate, with at most one second of it saved up."""

from __future__ import annotations

#: What is left of the rate when workers cannot keep up, at the least.
_LEAST_SHARE = 1 / 64


class Allowance:
    """A token bucket of keys; full at first.

    Attributes:
        rate: keys per second for now.
    """

    def __init__(self, keys_per_s: float) -> None:
        self._full = keys_per_s
        self.rate = keys_per_s
        self._saved = keys_per_s
        self._at_s: float | None = None

    def available(self, now_s: float) -> int:
        """Keys that may be spent now."""
        if self._at_s is not None:
            self._saved = min(self.rate, self._saved + self.rate * max(0.0, now_s - self._at_s))
        self._at_s = now_s
        return int(self._saved)

    def spend(self, keys: int) -> None:
        """These were queued."""
        self._saved -= keys

    def adapt(self, *, is_congested: bool) -> None:
        """Halves the rate while tasks pile up, because workers have more important things to do; then lets it grow."""
        if is_congested:
            self.rate = max(self._full * _LEAST_SHARE, self.rate / 2)
        else:
            self.rate = min(self._full, self.rate + self._full / 8)
