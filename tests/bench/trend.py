"""Whether a series of samples grows: a straight line through it, and how far its slope can be trusted.

Samples of one process resemble their neighbours, so there is less in them than in as many independent ones, and the
ordinary standard error of the slope is too small. It is widened by what residuals say of their neighbours:
sqrt((1 + r) / (1 - r)), r being their correlation at a distance of one.

Source: Santer et al.: Statistical significance of trends and trend differences. J. Geophys. Res. 105, 2000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: A slope so many standard errors from zero is none by chance, at 95 %.
_DISTINCT = 1.96
#: Growth by less than this share of the mean in an hour is of no account.
_SMALL_PER_HOUR = 0.01
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Trend:
    """A line through samples; `error_per_hour` is the standard error of its slope."""

    mean: float
    per_hour: float
    error_per_hour: float

    @property
    def verdict(self) -> str:
        """`flat`, `grows` or `falls`."""
        by_chance = abs(self.per_hour) < _DISTINCT * self.error_per_hour
        if by_chance or abs(self.per_hour) < _SMALL_PER_HOUR * abs(self.mean):
            return "flat"
        return "grows" if self.per_hour > 0 else "falls"


def trend(times_s: Sequence[float], values: Sequence[float]) -> Trend:
    """Least squares; at least three samples."""
    at, y = np.asarray(times_s) - np.mean(times_s), np.asarray(values)
    spread = float(at @ at)
    slope = float(at @ y) / spread
    residuals = y - y.mean() - slope * at
    squares = float(residuals @ residuals)
    error = (squares / (len(y) - 2) / spread) ** 0.5 * _widening(residuals, squares)
    return Trend(float(y.mean()), slope * _HOUR_S, error * _HOUR_S)


def _widening(residuals: np.ndarray[tuple[int], np.dtype[np.float64]], squares: float) -> float:
    alike = float(residuals[1:] @ residuals[:-1]) / squares if squares else 0.0
    alike = min(max(alike, 0.0), 0.99)
    return float(((1 + alike) / (1 - alike)) ** 0.5)
