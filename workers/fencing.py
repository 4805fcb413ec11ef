"""Tasks of a leader carry its fencing number; once somebody else leads, they are refused.

A leader that was paused may wake up and queue work for a run that its successor has taken over. Whoever takes a task
compares its number with the last one that the lease gave out. Tasks that people queue carry none.
"""

from __future__ import annotations

import logging

from precompute.keys import fence_key
from precompute.store import Store
from workers import tallies
from workers.lease import LEASE

log = logging.getLogger(__name__)


class FenceGuard:
    """Refuses what deposed leaders have queued; every refusal is counted, one of each leader is logged."""

    def __init__(self) -> None:
        self._logged = 0

    def admits(self, store: Store, fence: int | None) -> bool:
        """Whether a task may be done. Raises StoreUnavailable."""
        if fence is None:
            return True
        newest = int(store.call("GET", fence_key(LEASE)) or 0)
        if fence >= newest:
            return True
        tallies.add(store, fenced=1)
        if fence > self._logged:
            self._logged = fence
            log.warning("refusing tasks of scheduler term %d: term %d has begun", fence, newest)
        return False
