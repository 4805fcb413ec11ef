"""Views against their freshness SLAs: how soon a change ended, at every edge, what it made stale."""

from __future__ import annotations

from collections.abc import Sequence

from edge.dashboard.document import ViewState
from precompute.keys import log_key
from precompute.manifest import Project
from precompute.snapshot import Snapshot
from precompute.store import checked
from precompute.updates import Command, Reply, change_id, milliseconds
from precompute.views import View

#: The rate of updates is that of so many.
_LATEST = 100


def commands(project: Project) -> list[Command]:
    """What to ask; one command for each view."""
    return [("XREVRANGE", log_key(view), "+", "-", "COUNT", _LATEST) for view in project.views]


def views(project: Project, replies: Sequence[Reply], counted: Snapshot, now_ms: int, range_s: int) -> list[ViewState]:
    """All views."""
    return [
        _state(view, [milliseconds(change_id(name)) for name, _ in checked(reply)], counted, now_ms, range_s)
        for view, reply in zip(project.views.values(), replies, strict=True)
    ]


def _state(view: View, changes_ms: Sequence[int], counted: Snapshot, now_ms: int, range_s: int) -> ViewState:
    updates = counted.views.get((view.name, "updates"), 0)
    share = counted.views.get((view.name, "updates_within_sla"), 0) / updates if updates else None
    return ViewState(
        view=view.name,
        sla_s=view.sla_s,
        objective=view.objective,
        within=share,
        burn=None if share is None else (1 - share) / (1 - view.objective),
        updates_per_s=rate_per_s(changes_ms, now_ms, range_s),
        last_change_ms=changes_ms[0] if changes_ms else None,
    )


def rate_per_s(changes_ms: Sequence[int], now_ms: int, range_s: int) -> float:
    """How often something changes, from its latest changes, newest first; only the range counts."""
    recent = [at for at in changes_ms if at > now_ms - 1000 * range_s]
    if len(recent) < _LATEST:
        return len(recent) / range_s
    return len(recent) * 1000 / max(1, now_ms - recent[-1])
