"""How much of the work is done here."""

from __future__ import annotations

import pytest

from workers.shares import Share


def test_whoever_is_alone_sees_everything() -> None:
    """Also before anything was seen."""
    share = Share()

    assert share.look(0, 500) == 1.0
    assert share.look(100, 600) == 1.0


def test_with_others_it_is_a_part() -> None:
    """One of four, each doing as much."""
    share, total = Share(), 0
    for _ in range(100):
        total += 400
        found = share.look(100, total)

    assert found == pytest.approx(0.25, rel=0.01)


def test_when_the_others_are_gone_it_is_all_again() -> None:
    """After some looks."""
    share, total = Share(), 0
    for _ in range(100):
        total += 400
        share.look(100, total)

    for _ in range(60):
        total += 100
        found = share.look(100, total)

    assert found > 0.95
