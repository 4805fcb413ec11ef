"""Tests of an audit's figures."""

from __future__ import annotations

import pytest

from deploy.audit.report import Example, Report, nines, spread_s, upper_bound
from deploy.audit.verdict import Finding, Verdict


def test_nothing_found_bounds_the_share_by_three_in_so_many() -> None:
    """The rule of three: not to meet in 3,000 what happens once in 1,000 has a chance of 5 %."""
    assert upper_bound(0, 3000) == 0.001
    assert upper_bound(0, 2) == 1.0
    assert upper_bound(0, 0) is None


def test_what_was_found_lies_below_its_bound() -> None:
    """The bound comes closer with more samples."""
    few, many = upper_bound(1, 100), upper_bound(100, 10_000)

    assert few is not None
    assert many is not None
    assert 0.01 < many < 0.012 < few < 0.06


@pytest.mark.parametrize(("share", "expected"), [(0.001, 3.0), (0.0011, 2.9), (0.1, 1.0), (1.0, 0.0), (3e-7, 6.5)])
def test_nines_are_rounded_down(share: float, expected: float) -> None:
    """Nobody is promised more than was seen."""
    assert nines(share) == expected


def test_consistency_is_a_share_of_answers_presented_as_fresh() -> None:
    """Stale and missing answers are counted, and say nothing about it."""
    report = Report()
    for verdict, count in [("correct", 95), ("in_flight", 3), ("falsely_fresh", 1), ("wrong", 1), ("unavailable", 7)]:
        for _ in range(count):
            report.add(Finding(Verdict(verdict)), None)

    document = report.document()

    assert (document["samples"], document["fresh_answers"], document["consistency"]) == (107, 100, 0.98)
    assert report.violations == 2


def test_stale_answers_from_deleted_rows_are_violations_too() -> None:
    """They fail an audit without being presented as fresh."""
    report = Report()
    report.add(Finding(Verdict.NOT_FORGOTTEN, 20_000), 60_000)

    assert report.violations == 1
    assert report.document()["consistency"] is None


def test_ages_are_told_by_their_quantiles() -> None:
    """Of all predictions, and of the time since those that say so have been stale."""
    report = Report()
    for ms in range(0, 101_000, 1000):
        report.add(Finding(Verdict.CORRECT), ms)
    report.add(Finding(Verdict.STALE, 2500), None)

    document = report.document()

    assert document["age_s"] == {"p50": 50.0, "p95": 95.0, "max": 100.0}
    assert document["stale_for_s"] == {"p50": 2.5, "p95": 2.5, "max": 2.5}
    assert document["in_flight_for_s"] is None


def test_a_clock_behind_makes_no_negative_age() -> None:
    """Whoever computes has a clock of its own."""
    report = Report()

    report.add(Finding(Verdict.CORRECT), -5)

    assert report.document()["age_s"] == {"p50": 0.0, "p95": 0.0, "max": 0.0}


def test_the_first_examples_are_kept() -> None:
    """Enough to begin looking, however long the audit goes on."""
    report = Report()
    for i in range(50):
        report.show(Example(Verdict.WRONG, "http://edge", "late", f"k{i}", None, {"late": 1}, {"late": 2}))

    assert [example.key for example in report.examples] == [f"k{i}" for i in range(10)]


def test_nothing_has_no_spread() -> None:
    """Not even one of zero."""
    assert spread_s([]) is None
