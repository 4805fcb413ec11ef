"""Keeps asking the lease, in a thread of its own, so that slow work cannot cost the lead."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from precompute.errors import StoreUnavailable
from workers.leader import Leadership, Step
from workers.lease import Lease

log = logging.getLogger(__name__)


class Contender:
    """One process's part in choosing a leader."""

    def __init__(self, lease: Lease, ttl_s: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._lease = lease
        self._clock_s = clock_s
        self._state = Leadership(ttl_s)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leader", daemon=True)

    @property
    def fence(self) -> int | None:
        """Our fencing number while we lead, else None; ask right before acting."""
        state = self._state
        return state.fence if state.leading(self._clock_s()) else None

    def start(self) -> None:
        """Begins to contend."""
        self._thread.start()

    def stop(self) -> None:
        """Stops contending, and gives the lead away if we have it."""
        self._stop.set()
        self._thread.join()
        try:
            self._lease.release()
        except StoreUnavailable:
            # It will expire.
            return

    def contend(self) -> None:
        """Asks the lease if it is time to; remembers the answer."""
        asked_s = self._clock_s()
        before = self._state
        try:
            match before.step(asked_s):
                case Step.TAKE:
                    self._state = before.taken(self._lease.take(), asked_s)
                case Step.RENEW:
                    self._state = before.renewed(self._lease.renew(), asked_s)
        except StoreUnavailable as error:
            self._state = before.store_lost(self._clock_s())
            log.warning("not leading: %s", error)
        self._report(before.fence, self._state.fence)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.contend()
            self._stop.wait(max(0.0, self._state.next_s - self._clock_s()))

    def _report(self, before: int | None, after: int | None) -> None:
        if before is None and after is not None:
            log.info("leading, term %d", after)
        elif before is not None and after is None:
            log.info("no longer leading")
