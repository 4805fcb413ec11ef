"""When a call is tried again, and when there is no use."""

from __future__ import annotations

import pytest

from edge.client.attempts import Attempts, Patience
from edge.client.errors import (
    BudgetExceeded,
    ClientError,
    FeatureMissing,
    InvalidRequest,
    NothingPublished,
    NotUnderstood,
    Overloaded,
    Unavailable,
    Unreachable,
)
from edge.contract.answers import Problem

PROBLEM = Problem(type="about:blank", title="", status=503)


class Clock:
    """Goes on when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def _attempts(deadline_s: float | None = None, chance: float = 0.0) -> tuple[Attempts, Clock]:
    clock = Clock()
    return Attempts(Patience(timeout_s=10.0), deadline_s, clock, lambda: chance), clock


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (Unreachable("refused"), True),
        (Unavailable(PROBLEM), True),
        (Overloaded(PROBLEM), True),
        (NothingPublished(PROBLEM), False),
        (BudgetExceeded(PROBLEM), False),
        (FeatureMissing(PROBLEM), False),
        (InvalidRequest(PROBLEM, 1.0), False),
        (NotUnderstood("html"), False),
        (ValueError("ours"), False),
    ],
)
def test_only_what_may_succeed_is_tried_again(error: Exception, again: bool) -> None:
    """What fails the same way each time is told at once."""
    attempts, _ = _attempts()

    assert attempts.wait_s(error) is again


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 2.0), (1.0, 2.2)])
def test_who_says_when_to_come_back_is_obeyed(chance: float, wait: float) -> None:
    """Not sooner, and not all at once."""
    attempts, _ = _attempts(chance=chance)

    assert attempts.wait_s(Overloaded(PROBLEM, 2.0)) == pytest.approx(wait)


def test_nobody_waits_beyond_a_deadline() -> None:
    """What would come too late is given up at once."""
    attempts, clock = _attempts(1.5)

    assert attempts.wait_s(Overloaded(PROBLEM, 2.0)) is False
    assert attempts.wait_s(Overloaded(PROBLEM, 1.0)) == 1.0
    clock.now += 1.46
    assert attempts.wait_s(Unreachable("refused")) is False


def test_what_is_left_gets_less() -> None:
    """Each attempt has the rest of the time, and when it is over the last failure is told as the cause."""
    attempts, clock = _attempts(1.0)
    assert attempts.left_s() == 1.0
    clock.now += 0.75
    assert attempts.left_s() == 0.25
    last = Unreachable("refused")
    attempts.wait_s(last)
    clock.now += 0.25

    with pytest.raises(BudgetExceeded) as caught:
        attempts.left_s()

    assert caught.value.__cause__ is last
    assert isinstance(caught.value, ClientError)
    assert attempts.retries == 2


def test_without_a_deadline_a_client_is_patient_for_a_while() -> None:
    """And the edge is told no budget."""
    attempts, _ = _attempts()

    assert (attempts.left_s(), attempts.has_deadline) == (10.0, False)


def test_attempts_are_bounded() -> None:
    """Whatever goes wrong each time."""
    tries = 0
    attempts = Attempts(Patience(attempts=3), None)

    with pytest.raises(Unreachable):
        for attempt in attempts.contexts():
            with attempt:
                tries += 1
                raise Unreachable("refused")

    assert tries == 3
