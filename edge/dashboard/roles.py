"""Workers, refreshers and schedulers, as they say of themselves; the queues, as the leader sees them."""

from __future__ import annotations

from collections.abc import Mapping

from edge.dashboard.document import Leader, QueueState, WorkerState
from precompute.role_notes import RoleName, RoleNote

Notes = Mapping[RoleName, RoleNote]


def workers(notes: Notes, now_ms: int) -> list[WorkerState]:
    """All of them."""
    return [
        WorkerState(
            name=str(who), alive=note.is_alive(now_ms), last_progress_ms=note.progress_ms, rows_per_s=note.rows_per_s
        )
        for who, note in notes.items()
    ]


def leader(notes: Notes, now_ms: int) -> Leader | None:
    """The scheduler that leads; of two that say so, the one that has begun later."""
    leads = [
        Leader(name=who.name, since_ms=note.leads_since_ms)
        for who, note in notes.items()
        if note.leads_since_ms is not None and note.is_alive(now_ms)
    ]
    return max(leads, key=lambda it: it.since_ms, default=None)


def queues(notes: Notes, now_ms: int) -> list[QueueState]:
    """As the leader sees them; without one, nobody does."""
    latest = max((note for note in notes.values() if note.queues), key=lambda note: note.at_ms, default=None)
    if latest is None or not latest.is_alive(now_ms):
        return []
    return [QueueState(name=queue.name, depth=queue.depth, oldest_s=queue.oldest_s) for queue in latest.queues]
