"""What the commands about jobs work with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.cli.invocation import Invocation
    from precompute.declared_jobs import Declared
    from workers.jobs import Jobs
    from workers.schedule_ledger import Ledgers
    from workers.schedule_store import ScheduleStore


@dataclass(frozen=True, slots=True)
class Desk:
    """Jobs, the declared ones among them, and what is known of their runs.

    Attributes:
        directory: where relative paths in the project file begin.
    """

    jobs: Jobs
    declared: ScheduleStore
    ledgers: Ledgers
    directory: Path

    def find(self, name: str) -> Declared | None:
        """The declared job of that name, if there is one.

        Raises:
            JobRefused: it no longer fits the project.
        """
        from precompute.errors import UnknownJob

        try:
            return self.declared.get(name)
        except UnknownJob:
            return None


@contextmanager
def open_desk(call: Invocation) -> Iterator[Desk]:
    """A desk at the primary and the task queue.

    Raises:
        ConfigError: the project file is wrong.
        StoreUnavailable: Redis cannot be reached.
    """
    from workers.jobs import Jobs
    from workers.schedule_ledger import Ledgers
    from workers.schedule_store import ScheduleStore
    from workers.task_queue import open_queue

    project, settings = call.project, call.settings
    with call.primary() as store:
        queue = open_queue(settings)
        jobs = Jobs(store, project, queue, chunk_keys=settings.chunk_keys, keep_s=settings.job_keep_s)
        try:
            yield Desk(jobs, ScheduleStore(store, project), Ledgers(store), settings.project.absolute().parent)
        finally:
            queue.close()
