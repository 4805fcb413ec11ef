"""What a row costs, from counters that only grow."""

from __future__ import annotations

import pytest

from workers.row_costs import RowCosts


def test_a_row_costs_what_was_measured() -> None:
    """Nothing is known before."""
    costs = RowCosts()
    costs.take({"late:rows": 1000, "late:us": 20_000})

    assert costs.row_s("late") == pytest.approx(20e-6)
    assert costs.row_s("other") == 0.0


def test_what_was_measured_lately_weighs_more_and_more() -> None:
    """A new version may be ten times as slow."""
    costs, rows, us = RowCosts(), 1000, 20_000
    costs.take({"late:rows": rows, "late:us": us})
    for _ in range(20):
        rows, us = rows + 100, us + 20_000
        costs.take({"late:rows": rows, "late:us": us})

    assert costs.row_s("late") == pytest.approx(200e-6, rel=0.01)


def test_no_news_changes_nothing() -> None:
    """Nor do counters that began anew."""
    costs = RowCosts()
    costs.take({"late:rows": 1000, "late:us": 20_000})

    costs.take({"late:rows": 1000, "late:us": 20_000})
    costs.take({"late:rows": 5, "late:us": 5})

    assert costs.row_s("late") == pytest.approx(20e-6)
