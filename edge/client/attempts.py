"""How often a call is tried, and for how long: decided here, waited for by stamina.

Tried again is what got no answer (refused, hung up, too late) and what the edge, or somebody before it, could not
answer now. When an answer says how long to stay away, that is how long; a random part on top keeps those who were sent
away together from coming back together. Nothing is tried when the time is over.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import stamina

from edge.client.errors import BudgetExceeded, Unavailable, Unreachable
from edge.contract.answers import Problem

#: Waits grow from the first to the second, each with up to the third on top.
_FIRST_WAIT_S, _LONGEST_WAIT_S, _JITTER_S = 0.05, 1.0, 0.1
#: What the edge's answer may be late for: the way there and back.
WAY_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a client waits.

    Attributes:
        attempts: how often a call is tried, the first time included.
        timeout_s: how long a call may take that has no deadline, all attempts together.
    """

    attempts: int = 3
    timeout_s: float = 10.0


class Attempts:
    """The attempts of one call."""

    def __init__(
        self,
        patience: Patience,
        deadline_s: float | None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`deadline_s` is how long the caller waits, and told to the edge; None for as long as the client does."""
        self.has_deadline = deadline_s is not None
        self._patience = patience
        self._clock = clock
        self._chance = chance
        self._until = clock() + (patience.timeout_s if deadline_s is None else deadline_s)
        #: Attempts that were made because others failed.
        self.retries = -1
        self._last: Exception | None = None

    def contexts(self) -> Any:
        """stamina's iterator of attempts, for `for` and `async for`."""
        return stamina.retry_context(
            on=self.wait_s,
            attempts=self._patience.attempts,
            timeout=None,
            wait_initial=_FIRST_WAIT_S,
            wait_max=_LONGEST_WAIT_S,
            wait_jitter=_JITTER_S,
        )

    def left_s(self) -> float:
        """How much time is left for the attempt that begins now.

        Raises:
            BudgetExceeded: none.
        """
        self.retries += 1
        left = self._until - self._clock()
        if left <= 0:
            over = Problem(type="urn:nearcast:problem:budget-exceeded", title="the time is over", status=504)
            raise BudgetExceeded(over) from self._last
        return left

    def wait_s(self, error: Exception) -> bool | float:
        """How long to wait before the next attempt; True for stamina to say, False to give up."""
        self._last = error
        left = self._until - self._clock()
        if isinstance(error, Unavailable) and error.retry_after_s is not None:
            wait = error.retry_after_s * (1 + 0.1 * self._chance())
            return wait if wait < left else False
        return isinstance(error, Unavailable | Unreachable) and left > _FIRST_WAIT_S
