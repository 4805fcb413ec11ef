"""A steady rate of keys."""

from __future__ import annotations

from workers.allowance import Allowance


def test_a_second_is_saved_up_and_no_more() -> None:
    """A quiet hour does not pay for a burst of an hour."""
    allowance = Allowance(100.0)
    allowance.available(0.0)

    assert allowance.available(3600.0) == 100


def test_what_is_spent_comes_back_at_the_rate() -> None:
    """After spending all, half a second gives half of it."""
    allowance = Allowance(100.0)
    allowance.available(0.0)
    allowance.spend(100)

    assert allowance.available(0.0) == 0
    assert allowance.available(0.5) == 50


def test_a_clock_set_back_gives_nothing() -> None:
    """Nor takes anything."""
    allowance = Allowance(100.0)
    allowance.available(10.0)
    allowance.spend(60)

    assert allowance.available(5.0) == 40
