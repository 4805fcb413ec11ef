"""Precompute jobs, as whoever starts and watches them sees them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from precompute.errors import InvalidRequest, VersionMissing
from precompute.job_record import Failure, Job, Progress
from precompute.manifest import Project
from precompute.models import Model
from precompute.registry import Registry
from precompute.schedules import Priority
from precompute.store import Store
from workers.chunks import now_ms
from workers.errors import JobRefused
from workers.job_store import JobStore
from workers.key_listing import list_keys
from workers.key_sources import Source, source_data, source_of
from workers.keys_file import Listed
from workers.stalls import STALL_S, StallWatch
from workers.task_queue import ChunkQueue

#: Chunks queued again at once; the others follow when these are done.
MAX_REQUEUED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a job that is a run of a declared one knows beyond its keys.

    Attributes:
        id: the job's; one is made up if empty.
        fence: the number of the leader that starts it; None for a person.
    """

    schedule: str = ""
    id: str = ""
    priority: Priority = "normal"
    fence: int | None = None


_BY_HAND = Ticket()


class Jobs:
    """Starts jobs and follows them."""

    def __init__(
        self,
        store: Store,
        project: Project,
        queue: ChunkQueue,
        *,
        chunk_keys: int,
        keep_s: float,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._project = project
        self._queue = queue
        self._chunk_keys = chunk_keys
        self._clock_ms = clock_ms
        self._jobs = JobStore(store, keep_s)

    def start(
        self,
        model: str,
        source: Source,
        *,
        variant: str | None = None,
        version: int | None = None,
        on_listed: Callable[[int], None] = lambda _: None,
        ticket: Ticket = _BY_HAND,
    ) -> Job:
        """Lists the keys of a source and queues them; workers begin while the list is still growing.

        Args:
            variant: the model's default if None.
            version: what the variant serves at this moment if None; may be one that is not served yet.
            on_listed: told how many keys are listed so far; what it raises ends the listing.

        Raises:
            UnknownModel, VersionMissing, InvalidRequest, JobRefused: there is nothing to compute, or not like this.
            JobEnded: the job is over, or its leader's term is.
            StoreUnavailable: Redis is away; `resume` lists the keys of a job that was begun anew.
        """
        declared = self._project.model(model)
        chosen, number = self._version(declared, variant, version)
        pages = filter(None, list_keys(source, self._store, self._project, declared))
        first = next(pages, None)
        if first is None:
            raise JobRefused(f"no keys: {source} of model {model!r} is empty")
        job = Job(
            ticket.id or f"{ticket.schedule or model}-{secrets.token_hex(4)}",
            model,
            chosen,
            number,
            str(source),
            self._chunk_keys,
            self._clock_ms(),
            source_data(source),
            ticket.priority,
            ticket.schedule,
            ticket.fence,
        )
        self._jobs.create(job)
        self._fill(job, first, pages, on_listed)
        self._jobs.close_list(job, self._clock_ms())
        return job

    def progress(self, job_id: str) -> Progress:
        """How far a job has come. Raises JobMissing."""
        return self._jobs.progress(job_id)

    def many(self, ids: Sequence[str]) -> list[Progress | None]:
        """How far jobs have come; None for what is not there."""
        return self._jobs.many(ids)

    def failures(self, job_id: str) -> list[Failure]:
        """The first failures, with reasons. Raises JobMissing."""
        self._jobs.progress(job_id)
        return self._jobs.failures(job_id)

    def all(self) -> list[Progress]:
        """All jobs that can still be looked at, newest first."""
        return self._jobs.all()

    def watch(
        self,
        job_id: str,
        *,
        poll_s: float = 0.5,
        stall_s: float = STALL_S,
        sleep: Callable[[float], None] = time.sleep,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> Iterator[Progress]:
        """Progress now and then, the finished job last; queues again what was lost. Raises JobMissing."""
        stall = StallWatch(stall_s)
        while True:
            progress = self.progress(job_id)
            yield progress
            if progress.finished_ms:
                return
            self.mend(progress, stall, clock_s())
            sleep(poll_s)

    def resume(self, job_id: str, on_listed: Callable[[int], None] = lambda _: None) -> Progress:
        """Queues whatever is not done, now; for whoever knows that the workers were killed.

        Where whoever listed the keys was stopped before the end, the job is cancelled and another one takes its place.

        Raises:
            JobMissing: no such job.
            JobRefused: its keys can only be listed by whoever started it.
        """
        progress = self.progress(job_id)
        if progress.finished_ms:
            return progress
        if not progress.listed:
            return self.progress(self._start_again(progress.job, on_listed).id)
        self.requeue(progress)
        return progress

    def _start_again(self, job: Job, on_listed: Callable[[int], None]) -> Job:
        if job.fence is not None:
            raise JobRefused(f"job {job.id!r} belongs to a scheduler, which lists its keys again by itself")
        if not job.keys:
            raise JobRefused(f"the keys of job {job.id!r} were never listed to the end; start it anew")
        self.cancel(job.id)
        ticket = Ticket(schedule=job.schedule, priority=job.priority)
        source = source_of(job.keys, Path())
        return self.start(job.model, source, version=job.version, on_listed=on_listed, ticket=ticket)

    def mend(self, progress: Progress, stall: StallWatch, now_s: float, fence: int | None = None) -> bool:
        """Queues the undone chunks of a job again if it stands still; whether it did."""
        if not stall.stalled(progress, self._queue.waiting_chunks(), now_s):
            return False
        self.requeue(progress, fence)
        return True

    def cancel(self, job_id: str, fence: int | None = None) -> bool:
        """Ends a job; what a worker has in its hands is still written. Whether there was anything to end."""
        return self._jobs.cancel(job_id, self._clock_ms(), fence)

    def abandon(self, progress: Progress) -> None:
        """Lets an unfinished job expire."""
        self._jobs.abandon(progress)

    def requeue(self, progress: Progress, fence: int | None = None) -> None:
        """Queues undone chunks; with the leader's number if it is the leader who asks."""
        for number in islice(self._jobs.undone(progress), MAX_REQUEUED):
            self._queue.precompute_chunk(progress.job.id, number, priority=progress.job.priority, fence=fence)

    def _version(self, model: Model, variant: str | None, version: int | None) -> tuple[str, int]:
        registry = Registry(self._store, self._project)
        if version is not None:
            found = registry.version(model.name, version)
            if variant not in (None, found.variant):
                raise InvalidRequest(f"version {version} of {model.name!r} is of variant {found.variant!r}")
            return found.variant, version
        chosen = variant or model.default_variant
        if chosen not in model.variants:
            raise InvalidRequest(f"model {model.name!r} has no variant {chosen!r}; it has: {', '.join(model.variants)}")
        active = registry.active(model.name).get(chosen)
        if active is None:
            raise VersionMissing(f"model {model.name!r} serves no version of variant {chosen!r}; publish one first")
        return chosen, active

    def _fill(
        self, job: Job, first: list[Listed], pages: Iterator[list[Listed]], on_listed: Callable[[int], None]
    ) -> None:
        """Stores and queues chunks as they fill up."""
        total = number = 0
        waiting: list[str] = []
        page: list[Listed] | None = first
        while page is not None:
            refused = [item for item in page if isinstance(item, Failure)]
            if refused:
                self._jobs.refuse(job, refused)
            waiting += [item for item in page if isinstance(item, str)]
            total += len(page)
            page = next(pages, None)
            while len(waiting) >= job.chunk_keys or (page is None and waiting):
                self._jobs.add_chunk(job, number, waiting[: job.chunk_keys])
                self._queue.precompute_chunk(job.id, number, priority=job.priority, fence=job.fence)
                del waiting[: job.chunk_keys]
                number += 1
            on_listed(total)
