"""`nearcast model publish --warm`: what people see of a warm rollout."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from deploy.cli.invocation import Invocation
from deploy.cli.progress import progress_bar
from precompute.errors import NearcastError

if TYPE_CHECKING:
    from precompute.registry import Version
    from precompute.rollout import Warmth
    from precompute.store import Store
    from workers.rollout import Goal, Outcome


class NotRolledOut(NearcastError):
    """The version is published and does not serve; the text says why."""


def roll_out(call: Invocation, store: Store, model: str, version: Version, goal: Goal) -> Outcome:
    """Warms a published version and puts it into service, with a progress bar."""
    from workers.jobs import Jobs
    from workers.rollout import Rollout
    from workers.task_queue import open_queue

    project, settings = call.project, call.settings
    with closing(open_queue(settings)) as queue, progress_bar(f"warming version {version.version}", "keys") as advance:
        jobs = Jobs(store, project, queue, chunk_keys=settings.chunk_keys, keep_s=settings.job_keep_s)

        def show(warmth: Warmth) -> None:
            advance(min(1.0, warmth.share / goal.share) if goal.share else 1.0, warmth.warm)

        return Rollout(store, project, jobs).run(model, version, goal, show)


def describe(outcome: Outcome, goal: Goal) -> Mapping[str, object]:
    """An outcome as plain data."""
    return {
        "flipped": outcome.flipped,
        "hot_keys": outcome.warmth.keys,
        "warm_keys": outcome.warmth.warm,
        "warm_share": round(outcome.warmth.share, 4),
        "wanted_share": goal.share,
        "seconds": round(outcome.took_s, 3),
        "jobs": outcome.jobs,
    }


def refusal(model: str, version: Version, outcome: Outcome, goal: Goal) -> NotRolledOut:
    """Says what became of a rollout that was not to be."""
    return NotRolledOut(
        f"{model} version {version.version} is published but does not serve: {outcome.warmth.share:.1%} of the hot "
        f"keys' requests are warm, {goal.share:.0%} wanted; {outcome.reason}"
    )
