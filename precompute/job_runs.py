"""What is known of a declared job's runs: the last fire that was dealt with, those that are open, those that ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal[
    "queued", "running", "finished", "failed", "timed out", "replaced", "refused", "skipped", "missed"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a declared job, for one fire.

    Attributes:
        fire_ms: when it was due; what happened then, for a job that runs on events.
        state: `skipped` gave way to a run at work, `missed` was due while nobody led, `refused` could not be done.
        fence: the term of the leader that has it in hand.
        attempt: grows when its keys are listed anew, because a leader died or a server was away.
        version: of the model; what is served if None.
        fires: how many fires a record of missed runs stands for.
        total: keys; `written` and `failed` of them are done.
    """

    schedule: str
    id: str
    fire_ms: int
    variants: tuple[str, ...]
    state: State = "queued"
    fence: int = 0
    attempt: int = 0
    attempted_ms: int = 0
    version: int | None = None
    started_ms: int = 0
    ended_ms: int = 0
    reason: str = ""
    fires: int = 1
    total: int = 0
    written: int = 0
    failed: int = 0

    @property
    def attempt_id(self) -> str:
        """Names one listing of the run's keys."""
        return f"{self.id}.{self.attempt}"

    def job_id(self, variant: str) -> str:
        """The job that computes a variant; of no other attempt."""
        return f"{self.attempt_id}.{variant}"

    @property
    def jobs(self) -> tuple[str, ...]:
        """Its jobs, one for each variant."""
        return tuple(map(self.job_id, self.variants))

    @property
    def keys_per_s(self) -> float:
        """Average over the run, once it has ended."""
        took_ms = self.ended_ms - self.started_ms
        return 1000 * (self.written + self.failed) / took_ms if self.started_ms and took_ms > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where a declared job stands.

    Attributes:
        kind: what the cursor counts: `time` (ms since 1970), or the update ids of a log.
        cursor: everything up to here has been dealt with.
        last_ms: when the latest run was begun.
        open: runs that are queued or at work, oldest first.
    """

    kind: str
    cursor: int
    last_ms: int = 0
    open: tuple[Run, ...] = ()
