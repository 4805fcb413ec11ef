"""How often entities change."""

from __future__ import annotations

import pytest

from workers.change_rates import LEAST_HISTORY_S, ChangeRates

EWR, JFK = ("weather", "EWR"), ("weather", "JFK")


def test_a_steady_rate_is_found() -> None:
    """From the first half-life on; half as fast is half the rate."""
    rates = ChangeRates(100.0, 0.0)
    for second in range(1000):
        rates.note(EWR, float(second))
        if second % 2:
            rates.note(JFK, float(second))

    assert rates.per_s(EWR, 1000.0) == pytest.approx(1.0, rel=0.05)
    assert rates.per_s(JFK, 1000.0) == pytest.approx(0.5, rel=0.05)


def test_what_has_not_changed_for_long_is_calm_again() -> None:
    """A rate halves in one half-life."""
    rates = ChangeRates(100.0, 0.0)
    for second in range(1000):
        rates.note(EWR, float(second))
        rates.note(JFK, float(second))

    for second in range(1000, 1300):
        rates.note(JFK, float(second))

    assert rates.per_s(EWR, 1300.0) == pytest.approx(1 / 8, rel=0.1)


def test_the_first_change_says_little() -> None:
    """However soon after the start it comes."""
    rates = ChangeRates(100.0, 0.0)
    rates.note(EWR, 0.1)

    assert 0 < rates.per_s(EWR, 0.2) <= 1 / LEAST_HISTORY_S


def test_what_was_never_seen_to_change_is_not_thought_to_stand_still() -> None:
    """Where others of its view change, it will too; where nothing does, it will not."""
    rates = ChangeRates(100.0, 0.0)
    for second in range(100):
        rates.note(EWR, float(second))

    assert 0 < rates.per_s(JFK, 100.0) < rates.per_s(EWR, 100.0) / 20
    assert rates.per_s(("flight", "UA1"), 100.0) == 0.0


def test_what_another_reader_sees_counts_too() -> None:
    """With half of the changes in view, there are twice as many."""
    rates = ChangeRates(100.0, 0.0)
    rates.note(EWR, 1.0)
    alone = rates.per_s(EWR, 2.0)

    rates.share = 0.5

    assert rates.per_s(EWR, 2.0) == 2 * alone


def test_memory_is_bounded() -> None:
    """Whoever has not changed for longest is forgotten."""
    rates = ChangeRates(100.0, 0.0, max_entities=2)
    rates.note(EWR, 1.0)
    rates.note(JFK, 2.0)
    rates.note(EWR, 3.0)

    rates.note(("weather", "LGA"), 4.0)

    assert len(rates) == 2
    assert rates.per_s(EWR, 4.0) > 2 * rates.per_s(JFK, 4.0)
