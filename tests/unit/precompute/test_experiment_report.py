"""Intervals and the sample ratio, against figures that were published or that SciPy gives."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy import stats

from precompute.experiment_report import (
    Interval,
    mean,
    mean_difference,
    proportion,
    proportion_difference,
    quantile,
    ratio,
    sample_ratio_p,
)


def rounded(interval: Interval, digits: int = 4) -> tuple[float, float, float]:
    """As a paper prints it."""
    return round(interval.estimate, digits), round(interval.low, digits), round(interval.high, digits)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_a_proportion_is_that_of_the_literature(successes: int, trials: int, low: float, high: float) -> None:
    """R. G. Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I."""
    assert rounded(proportion(successes, trials)) == (round(successes / trials, 4), low, high)


@pytest.mark.parametrize(
    ("of", "base", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_a_difference_of_proportions_is_that_of_the_literature(
    of: tuple[int, int], base: tuple[int, int], low: float, high: float
) -> None:
    """R. G. Newcombe, "Interval estimation for the difference between independent proportions", 1998, table II."""
    found = proportion_difference(*of, *base)

    assert rounded(found)[1:] == (low, high)
    assert math.isclose(found.estimate, of[0] / of[1] - base[0] / base[1])


def test_means_are_those_of_scipy() -> None:
    """Student and Welch."""
    random.seed(1)
    a, b = ([random.gauss(m, s) for _ in range(n)] for m, s, n in ((5.0, 1.0, 30), (4.0, 3.0, 50)))

    one = stats.ttest_1samp(a, 0.0).confidence_interval(0.9)
    assert mean(a, 0.9) == Interval(pytest.approx(np.mean(a)), pytest.approx(one.low), pytest.approx(one.high))
    both = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert mean_difference(a, b).low == pytest.approx(both.low)
    assert mean_difference(a, b).high == pytest.approx(both.high)


def test_a_mean_over_answers_is_no_surer_than_its_units() -> None:
    """With one answer a unit it is the plain mean; a unit that says the same ten times says it once."""
    random.seed(2)
    values = [random.gauss(10.0, 2.0) for _ in range(40)]

    assert rounded(ratio(values, [1] * 40), 9) == rounded(mean(values), 9)
    assert rounded(ratio([10 * value for value in values], [10] * 40), 9) == rounded(mean(values), 9)


def test_a_ratio_covers_the_truth_as_often_as_it_says() -> None:
    """Units differ, and ask differently often: 95 % of intervals hold the truth, give or take chance."""
    generator = np.random.default_rng(3)
    answers = generator.poisson(5.0, (1000, 200)) + 1
    sums = answers * generator.normal(2.0, 1.0, (1000, 200)) + generator.normal(0.0, 1.0, (1000, 200))

    found = [ratio(sums[i], answers[i]) for i in range(1000)]

    covered = sum(interval.low <= 2.0 <= interval.high for interval in found)
    assert abs(covered - 950) < 5 * math.sqrt(1000 * 0.95 * 0.05)


def test_a_quantile_lies_between_two_of_the_values() -> None:
    """Of a hundred, the 41st and the 60th hold the median; beyond the largest nothing is known."""
    ordered = list(map(float, range(1, 101)))

    assert quantile(ordered, 0.5) == Interval(50.0, 41.0, 60.0)
    assert quantile(ordered, 0.95).estimate == 95.0
    found = quantile([3.0, 4.0], 0.95)
    assert found.estimate == 4.0
    assert math.isnan(found.high)


def test_the_sample_ratio_is_that_of_the_literature() -> None:
    """R. Kohavi et al., "Trustworthy Online Controlled Experiments", 2020, chapter 3: 821,588 and 815,482 users."""
    even = {"control": 0.5, "treatment": 0.5}

    assert sample_ratio_p({"control": 821_588, "treatment": 815_482}, even) == pytest.approx(1.8e-6, rel=0.02)
    assert sample_ratio_p({"control": 5000, "treatment": 5000}, even) == 1.0


def test_the_sample_ratio_is_that_of_scipy() -> None:
    """Of any number of arms; one without a share is none of them."""
    units, shares = {"a": 4920, "b": 3010, "c": 2070, "idle": 0}, {"a": 0.5, "b": 0.3, "c": 0.2, "idle": 0.0}

    expected = stats.chisquare([4920, 3010, 2070], [5000, 3000, 2000]).pvalue
    assert sample_ratio_p(units, shares) == pytest.approx(expected)


def test_of_too_little_nothing_is_said() -> None:
    """Instead of something that looks like a number."""
    for nothing in (proportion(0, 0), mean([]), quantile([], 0.5), ratio([], []), proportion_difference(0, 0, 1, 2)):
        assert math.isnan(nothing.estimate)
    assert math.isnan(mean([1.0]).low)
    assert math.isnan(mean_difference([1.0], [1.0, 2.0]).low)
    assert mean_difference([1.0, 1.0], [2.0, 2.0]) == Interval(-1.0, -1.0, -1.0)
    assert sample_ratio_p({"a": 4, "b": 4}, {"a": 0.5, "b": 0.5}) is None
