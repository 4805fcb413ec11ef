"""What can be said about the arms of an experiment, and how surely. Pure.

All intervals are for one look at a time fixed before: whoever looks again and again, and stops when an interval
leaves out zero, finds differences where there are none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, stdtrit

CONFIDENCE = 0.95
#: A ratio of samples that chance brings about so rarely is taken for a fault: A. Fabijan et al., "Diagnosing Sample
#: Ratio Mismatch in Online Controlled Experiments", KDD 2019.
MISMATCH_P = 0.001
#: Chi-square is good enough from so many expected units in each arm (W. G. Cochran, 1954).
LEAST_EXPECTED = 5

_Floats: TypeAlias = NDArray[np.float64]


class Interval(msgspec.Struct, frozen=True):
    """An estimate and where the truth lies, with the confidence asked for; NaN where there is too little to say."""

    estimate: float
    low: float
    high: float


_UNKNOWN = Interval(math.nan, math.nan, math.nan)


def proportion(successes: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """A share of independent trials, by Wilson's score interval (E. B. Wilson, 1927)."""
    if not trials:
        return _UNKNOWN
    z = _z(confidence)
    share, z2n = successes / trials, z * z / trials
    centre = share + z2n / 2
    spread = z * math.sqrt(share * (1 - share) / trials + z2n / (4 * trials))
    return Interval(share, max(0.0, (centre - spread) / (1 + z2n)), min(1.0, (centre + spread) / (1 + z2n)))


def proportion_difference(
    successes: int, trials: int, base_successes: int, base_trials: int, confidence: float = CONFIDENCE
) -> Interval:
    """A share minus another one, by the hybrid score interval (R. G. Newcombe, 1998, method 10)."""
    if not trials or not base_trials:
        return _UNKNOWN
    of = proportion(successes, trials, confidence)
    base = proportion(base_successes, base_trials, confidence)
    difference = of.estimate - base.estimate
    down = math.hypot(of.estimate - of.low, base.high - base.estimate)
    up = math.hypot(of.high - of.estimate, base.estimate - base.low)
    return Interval(difference, difference - down, difference + up)


def mean(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """A mean of independent values, by Student's t."""
    of = np.asarray(values, np.float64)
    if len(of) < 2:
        return Interval(float(of[0]), math.nan, math.nan) if len(of) else _UNKNOWN
    return _t(float(of.mean()), math.sqrt(float(of.var(ddof=1)) / len(of)), len(of) - 1, confidence)


def mean_difference(values: ArrayLike, base: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """A mean minus another one, of any two variances (B. L. Welch, 1947)."""
    of, against = np.asarray(values, np.float64), np.asarray(base, np.float64)
    if len(of) < 2 or len(against) < 2:
        return _UNKNOWN
    parts = [float(x.var(ddof=1)) / len(x) for x in (of, against)]
    difference = float(of.mean() - against.mean())
    if sum(parts) == 0:
        return Interval(difference, difference, difference)
    freedom = sum(parts) ** 2 / sum(p * p / (len(x) - 1) for p, x in zip(parts, (of, against), strict=True))
    return _t(difference, math.sqrt(sum(parts)), freedom, confidence)


def ratio(numerators: ArrayLike, denominators: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """A mean over answers where units are what was assigned, and those of one unit resemble each other.

    By the delta method (A. Deng et al., "Applying the Delta Method in Metric Analytics", KDD 2018).

    Args:
        numerators: for each unit, the sum over its answers.
        denominators: for each unit, how many they are.
    """
    of, by = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    if not len(of):
        return _UNKNOWN
    estimate = float(of.sum() / by.sum())
    if len(of) < 2:
        return Interval(estimate, math.nan, math.nan)
    residuals: _Floats = of - estimate * by
    error = math.sqrt(float(residuals.var(ddof=1)) / len(of)) / float(by.mean())
    return _t(estimate, error, len(of) - 1, confidence)


def quantile(ordered: Sequence[float] | _Floats, q: float, confidence: float = CONFIDENCE) -> Interval:
    """A quantile of independent values in rising order, between two of them (W. J. Conover, 1999, section 3.2).

    Whatever their distribution is; the ranks come from the normal approximation of the binomial.
    """
    count = len(ordered)
    if not count:
        return _UNKNOWN
    spread = _z(confidence) * math.sqrt(count * q * (1 - q))
    # Ranks count from 1; one that does not exist leaves the interval open.
    low, high = math.ceil(count * q - spread), math.ceil(count * q + spread)
    return Interval(
        float(ordered[min(count, max(1, math.ceil(count * q))) - 1]),
        float(ordered[low - 1]) if low >= 1 else math.nan,
        float(ordered[high - 1]) if high <= count else math.nan,
    )


def sample_ratio_p(units: Mapping[str, int], shares: Mapping[str, float]) -> float | None:
    """How likely it is that chance alone brings counts as far from the shares as these, by Pearson's chi-square.

    Args:
        units: by arm.
        shares: what each arm was to get; adds up to 1.

    Returns:
        None if there are too few units to say.
    """
    total = sum(units.get(arm, 0) for arm in shares)
    expected = {arm: total * share for arm, share in shares.items() if share > 0}
    if len(expected) < 2 or min(expected.values()) < LEAST_EXPECTED:
        return None
    statistic = sum((units.get(arm, 0) - count) ** 2 / count for arm, count in expected.items())
    return float(chdtrc(len(expected) - 1, statistic))


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _t(estimate: float, error: float, freedom: float, confidence: float) -> Interval:
    spread = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    return Interval(estimate, estimate - spread, estimate + spread)
