"""Trying again what may pass: a few times, with growing pauses, each counted.

The pauses are spent inside the task. Celery would park a retried task as one with an ETA, which a Redis broker
delivers again and again once the visibility timeout is over; and while the store is away there is nothing else a
worker could do.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from precompute.errors import TransientError

log = logging.getLogger(__name__)

T = TypeVar("T")

#: With the pauses between, some four seconds: a failover of a small Redis.
ATTEMPTS = 5
FIRST_PAUSE_S = 0.25


def pauses(chance: Callable[[], float] = random.random) -> Iterator[float]:
    """Seconds to wait after each failure but the last; spread, so that workers do not come back together."""
    for attempt in range(ATTEMPTS - 1):
        yield FIRST_PAUSE_S * 2**attempt * (0.75 + 0.5 * chance())


def retrying(action: Callable[[], T], *, sleep: Callable[[float], None] = time.sleep) -> tuple[T, int]:
    """The result of an action, and how often it had to be repeated.

    Raises:
        TransientError: the last attempt failed too.
    """
    for repeats, pause_s in enumerate(pauses()):
        try:
            return action(), repeats
        except TransientError as error:
            log.warning("trying again in %.1f s: %s", pause_s, error)
            sleep(pause_s)
    return action(), ATTEMPTS - 1
