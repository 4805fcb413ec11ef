"""What a job is, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from precompute.schedules import Priority


@dataclass(frozen=True, slots=True)
class Job:
    """Computes the predictions of many keys with one version.

    Attributes:
        source: where its keys come from, for people.
        chunk_keys: keys of each chunk but the last.
        keys: where its keys come from, as `key_sources.source_of` reads it; empty if they cannot be listed again.
        schedule: the declared job it is a run of, if any.
        fence: the number of the leader that started it; None for a person.
    """

    id: str
    model: str
    variant: str
    version: int
    source: str
    chunk_keys: int
    created_ms: int
    keys: Mapping[str, object] = field(default_factory=dict)
    priority: Priority = "normal"
    schedule: str = ""
    fence: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A key without a prediction, and why."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job has come.

    Attributes:
        total: keys listed so far; all of them once `listed`.
        written: predictions in the store.
        failed: keys that could not be computed, `refused` included.
        refused: lines or rows that name no key, in no chunk.
        listed: whether all keys have been listed.
        attempts: tasks begun; beyond `chunks`, some were begun again.
        active_ms: when a worker last showed that it is at it, 0 for never.
        finished_ms: 0 until everything is done, or the job is cancelled.
        cancelled: whether it was ended before everything was done.
    """

    job: Job
    total: int = 0
    written: int = 0
    failed: int = 0
    refused: int = 0
    chunks: int = 0
    chunks_done: int = 0
    listed: bool = False
    cancelled: bool = False
    attempts: int = 0
    started_ms: int = 0
    active_ms: int = 0
    finished_ms: int = 0

    @classmethod
    def of(cls, job: Job, counters: Mapping[str, int]) -> Progress:
        """Reads the counters as they are stored."""
        known = {name: counters[name] for name in cls.__dataclass_fields__ if name in counters}
        flags = {name: bool(known.pop(name, 0)) for name in ("listed", "cancelled")}
        return cls(job=job, listed=flags["listed"], cancelled=flags["cancelled"], **known)

    @property
    def done(self) -> int:
        """Keys that need no more work."""
        return self.written + self.failed

    @property
    def state(self) -> str:
        """`listing`, `running`, `finished` or `cancelled`."""
        if self.cancelled:
            return "cancelled"
        if self.finished_ms:
            return "finished"
        return "running" if self.listed else "listing"

    @property
    def keys_per_s(self) -> float:
        """Average over the job so far."""
        took_ms = (self.finished_ms or self.active_ms) - self.started_ms
        return 1000 * self.done / took_ms if self.started_ms and took_ms > 0 else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds left at this rate; None while there is none."""
        rate = self.keys_per_s
        return (self.total - self.done) / rate if rate else None


def chunk_size(progress: Progress, number: int) -> int:
    """How many keys a chunk had, where its list is gone."""
    full = progress.job.chunk_keys
    return full if number < progress.chunks - 1 else progress.total - progress.refused - full * number
