"""Waiting for a condition, never for a number of seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_NAP_S = 0.02


def wait_until(predicate: Callable[[], T], timeout_s: float = 10.0, message: str = "") -> T:
    """Asks until the answer is true, and returns it.

    Raises:
        AssertionError: it was not true within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while not (answer := predicate()):
        _check(deadline, timeout_s, message)
        time.sleep(_NAP_S)
    return answer


async def until(predicate: Callable[[], Awaitable[T]], timeout_s: float = 10.0, message: str = "") -> T:
    """`wait_until` for predicates that are awaited; the event loop runs on meanwhile.

    Raises:
        AssertionError: it was not true within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while not (answer := await predicate()):
        _check(deadline, timeout_s, message)
        await asyncio.sleep(_NAP_S)
    return answer


def _check(deadline: float, timeout_s: float, message: str) -> None:
    if time.monotonic() > deadline:
        raise AssertionError(message or f"not so within {timeout_s:g} s")
