"""Trying again what may pass."""

from __future__ import annotations

import pytest

from precompute.errors import PermanentError, StoreUnavailable
from workers.retrying import ATTEMPTS, pauses, retrying


def failing(times: int, error: Exception) -> tuple[list[int], object]:
    """An action that fails so often, and its calls."""
    calls: list[int] = []

    def action() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "done"

    return calls, action


def test_what_passes_is_tried_again() -> None:
    """The result comes with the number of repeats, to be counted."""
    slept: list[float] = []
    _, action = failing(2, StoreUnavailable("away"))

    assert retrying(action, sleep=slept.append) == ("done", 2)  # type: ignore[arg-type]
    assert len(slept) == 2


def test_trying_comes_to_an_end() -> None:
    """The last failure is raised."""
    calls, action = failing(100, StoreUnavailable("away"))

    with pytest.raises(StoreUnavailable):
        retrying(action, sleep=lambda _: None)  # type: ignore[arg-type]

    assert len(calls) == ATTEMPTS


def test_what_cannot_pass_is_not_tried_again() -> None:
    """A permanent error is raised at once."""
    calls, action = failing(1, PermanentError("no"))

    with pytest.raises(PermanentError):
        retrying(action, sleep=lambda _: None)  # type: ignore[arg-type]

    assert len(calls) == 1


def test_pauses_grow_and_are_bounded() -> None:
    """A worker is held up for some seconds at most."""
    shortest, longest = list(pauses(lambda: 0.0)), list(pauses(lambda: 1.0))

    assert shortest == sorted(shortest)
    assert sum(longest) < 5.0
    assert all(low < high for low, high in zip(shortest, longest, strict=True))
