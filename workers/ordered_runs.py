"""Runs declared jobs now, beside their schedule, because somebody at an edge wants it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from precompute import ordered_runs
from precompute.errors import NearcastError
from precompute.ordered_runs import WITHIN_MS, OrderedRun
from precompute.store import Store
from workers.chunks import now_ms
from workers.jobs import Jobs, Ticket
from workers.schedule_runner import Defer, source_for
from workers.schedule_store import ScheduleStore

log = logging.getLogger(__name__)


class OrderedRuns:
    """Takes orders, one after the other."""

    def __init__(
        self,
        store: Store,
        declared: ScheduleStore,
        jobs: Jobs,
        directory: Path,
        defer: Defer,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        """Makes one.

        Args:
            directory: where key files of the project file are looked for.
            defer: listing keys may take long.
        """
        self._store = store
        self._declared = declared
        self._jobs = jobs
        self._directory = directory
        self._defer = defer
        self._clock_ms = clock_ms

    def look(self) -> None:
        """Begins what is wanted. Raises StoreUnavailable."""
        while (order := ordered_runs.take(self._store)) is not None:
            if self._clock_ms() - order.at_ms > WITHIN_MS:
                log.warning("job %s is not run: %s wanted it too long ago", order.job, order.who)
                continue
            self._defer(lambda order=order: self.run(order), f"ordered {order.job}")  # type: ignore[misc]

    def run(self, order: OrderedRun) -> None:
        """Lists the keys of a job and queues them; a job for each variant."""
        try:
            found = self._declared.get(order.job)
            schedule = found.schedule
            ticket = Ticket(schedule=schedule.name, priority=schedule.priority)
            for variant in schedule.variants:
                job = self._jobs.start(
                    schedule.model, source_for(found, self._directory), variant=variant, ticket=ticket
                )
                log.info("job %s: started as %s for %s", order.job, job.id, order.who)
        except NearcastError as error:
            log.warning("job %s is not run for %s: %s", order.job, order.who, error)
