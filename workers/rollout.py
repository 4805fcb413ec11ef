"""A warm rollout: the predictions that are asked for most are computed with a version before it serves.

1. Measure how warm the version is for the hot keys, by their share of the requests.
2. Warm enough: move the pointer. The version before stays where it is, and going back is moving the pointer again.
3. Otherwise have the cold keys computed, the hottest first, and measure again.

What changes meanwhile is cold again, so that there may be more than one round. If time runs out, or a round gains
nothing, the pointer stays where it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from precompute import hotkeys, rollout_note
from precompute.job_record import Progress
from precompute.manifest import Project
from precompute.registry import Registry, Version
from precompute.rollout import Warmth, measure
from precompute.rollout_note import RolloutNote
from precompute.store import Store
from workers.chunks import now_ms
from workers.jobs import Jobs, Ticket
from workers.key_sources import GivenKeys

_POLL_S = 0.2
#: People wait for a rollout, and hot keys are few.
_TICKET = Ticket(priority="high")


@dataclass(frozen=True, slots=True)
class Goal:
    """When a version is warm enough.

    Attributes:
        share: of the hot keys' requests, 0 to 1.
        hot: how many keys are looked at.
        timeout_s: how long it may take.
    """

    share: float = 0.95
    hot: int = 10_000
    timeout_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a rollout ended.

    Attributes:
        flipped: whether the version serves now.
        reason: why not, for people.
        jobs: what computed the keys.
    """

    flipped: bool
    warmth: Warmth
    took_s: float
    jobs: list[str]
    reason: str = ""


class Rollout:
    """Warms one version and puts it into service."""

    def __init__(
        self,
        store: Store,
        project: Project,
        jobs: Jobs,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._project = project
        self._registry = Registry(store, project)
        self._jobs = jobs
        self._clock_s = clock_s
        self._sleep = sleep

    def run(self, model: str, version: Version, goal: Goal, on_progress: Callable[[Warmth], None]) -> Outcome:
        """Warms until the goal is reached, and then moves the pointer.

        Raises:
            StoreUnavailable: Redis is away; nothing has been moved.
        """
        began_s = self._clock_s()
        deadline_s = began_s + goal.timeout_s
        started: list[str] = []
        hot = hotkeys.top(self._store, model, goal.hot)

        def look() -> Warmth:
            warmth = measure(self._store, self._project.model(model), version, hot)
            self._store.run([rollout_note.write_command(model, _note(version, warmth))])
            on_progress(warmth)
            return warmth

        warmth, reason = look(), ""
        while warmth.share < goal.share and not reason:
            job = self._jobs.start(model, GivenKeys(warmth.cold), version=version.version, ticket=_TICKET)
            started.append(job.id)
            before, (warmth, progress) = warmth, self._follow(job.id, look, goal.share, deadline_s)
            if warmth.share < goal.share:
                reason = self._hopeless(job.id, before, warmth, progress, deadline_s)
        if not reason:
            self._registry.activate(model, version.version)
        return Outcome(not reason, warmth, self._clock_s() - began_s, started, reason)

    def _follow(
        self, job_id: str, look: Callable[[], Warmth], share: float, deadline_s: float
    ) -> tuple[Warmth, Progress]:
        """Until the version is warm enough, the job is done, or time is up."""
        written = -1
        for progress in self._jobs.watch(job_id, poll_s=_POLL_S, sleep=self._sleep, clock_s=self._clock_s):
            if progress.written != written or progress.finished_ms:
                written, warmth = progress.written, look()
            if warmth.share >= share or self._clock_s() >= deadline_s:
                break
        return warmth, progress

    def _hopeless(self, job_id: str, before: Warmth, warmth: Warmth, progress: Progress, deadline_s: float) -> str:
        """Why there is no point in another round; empty if there is."""
        if self._clock_s() >= deadline_s:
            waiting = "" if progress.attempts else "; no worker has begun"
            return f"time is up{waiting}"
        if progress.failed and warmth.warm <= before.warm:
            first = next(iter(self._jobs.failures(job_id)), None)
            why = f", the first because of {first.key}: {first.reason}" if first else ""
            return f"{progress.failed:,} hot keys cannot be computed with it{why}"
        return ""


def _note(version: Version, warmth: Warmth) -> RolloutNote:
    return RolloutNote(version.variant, version.version, warmth.share, now_ms())
