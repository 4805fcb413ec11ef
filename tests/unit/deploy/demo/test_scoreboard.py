"""Tests of the demo's figures."""

from __future__ import annotations

import math

import pytest

from deploy.demo.events import Departure
from deploy.demo.scoreboard import TWIN_TTL_MIN, Scoreboard, quantile_ms


def flight(name: str, late: bool | None) -> Departure:
    """A flight, and the truth about it."""
    return Departure(f"{name}:EWR:N1", name, "EWR", "IAH", 600, 600, late)


def board_of(*tiers: str, failed: int = 0) -> Scoreboard:
    """A board after one answer from each tier, a millisecond longer each time."""
    board = Scoreboard()
    for number, tier in enumerate(tiers, 1):
        board.answered(flight("UA1", True), 0.0, tier, 0.5, number / 1000)
    for _ in range(failed):
        board.failed("status 503")
    return board


def test_hits_are_answers_that_lay_ready() -> None:
    """Those of the memory and of the replica; failures lower the share of requests, not that of answers."""
    board = board_of("memory", "replica", "live", "stale", failed=1)

    assert (board.requests, board.hit_ratio(), board.fresh_hit_ratio()) == (5, 0.5, 0.4)


def test_the_price_of_hits_is_counted_for_each_request() -> None:
    """All rows that workers have computed ahead of time, used or not."""
    board = board_of("memory", "live", failed=2)

    assert board.rows_per_request({"precomputed": 5, "refreshed": 3, "failed": 7}) == 2.0
    assert board.rows_per_request({}) == 0.0


def test_without_requests_there_are_no_shares() -> None:
    """Nor does anything divide by zero while the first request is under way."""
    board = Scoreboard()

    assert board.hit_ratio() == board.fresh_hit_ratio() == board.rows_per_request({"refreshed": 3}) == 0.0
    assert math.isnan(board.quantile_ms(0.5))
    assert all(math.isnan(value) for value in board.quality().values())


def test_latency_is_told_in_milliseconds() -> None:
    """As the client saw it."""
    board = board_of("memory", "memory", "live")

    assert board.quantile_ms(0.5) == pytest.approx(2.0)
    assert board.quantile_ms(1.0, recent=True) == pytest.approx(3.0)
    assert math.isnan(quantile_ms([], 0.99))


def test_the_twin_repeats_its_answer_until_its_ttl_has_passed() -> None:
    """It rates the late flight low for an hour after everybody else knows."""
    board = Scoreboard()
    late, punctual = flight("UA1", True), flight("UA2", False)
    for minute, probability in [(0.0, 0.1), (TWIN_TTL_MIN - 1.0, 0.9)]:
        board.answered(late, minute, "memory", probability, 0.001)
        board.answered(punctual, minute, "memory", 0.2, 0.001)

    before = board.quality()
    board.answered(late, TWIN_TTL_MIN + 0.0, "memory", 0.9, 0.001)
    after = board.quality()

    assert (before["auc"], before["auc_ttl_cache"]) == (0.5, 0.0)
    assert after["auc_ttl_cache"] == pytest.approx(1 / 3)


def test_a_flight_that_never_arrived_is_not_scored() -> None:
    """Cancelled flights are asked about, and nobody knows how late they were."""
    board = Scoreboard()
    for late in (None, True, False):
        board.answered(flight(f"UA{late}", late), 0.0, "memory", 0.9 if late else 0.1, 0.001)

    assert board.quality()["auc"] == 1.0
    assert board.tiers["memory"] == 3
