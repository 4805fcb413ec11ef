"""Workers, the leader and the queues, as the dashboard has them."""

from __future__ import annotations

from edge.dashboard.roles import leader, queues, workers
from precompute.role_notes import QueueNote, RoleName, RoleNote

NOW_MS = 1_800_000_000_000
WORKER, OLD, NEW = RoleName("worker", "a"), RoleName("scheduler", "old"), RoleName("scheduler", "new")


def scheduler(since_ms: int, *, said_ms: int = NOW_MS, depth: int = 0) -> RoleNote:
    """One that leads."""
    return RoleNote(at_ms=said_ms, leads_since_ms=since_ms, queues=(QueueNote("q", depth, None),))


def test_the_one_that_has_begun_later_leads() -> None:
    """The one before has not noticed yet."""
    found = leader({OLD: scheduler(1_000), NEW: scheduler(2_000)}, NOW_MS)

    assert found is not None
    assert (found.name, found.since_ms) == ("new", 2_000)


def test_a_leader_that_is_silent_leads_no_more() -> None:
    """And what it saw of the queues is of no use."""
    notes = {OLD: scheduler(1_000, said_ms=NOW_MS - 60_000)}

    assert leader(notes, NOW_MS) is None
    assert queues(notes, NOW_MS) == []


def test_queues_are_those_that_were_seen_last() -> None:
    """Followers see none."""
    notes = {OLD: scheduler(1_000, said_ms=NOW_MS - 5_000, depth=9), NEW: scheduler(2_000, depth=3)}

    assert [(queue.name, queue.depth) for queue in queues(notes, NOW_MS)] == [("q", 3)]


def test_the_silent_are_shown_as_such() -> None:
    """With what they said last."""
    note = RoleNote(at_ms=NOW_MS - 60_000, progress_ms=5, rows_per_s=7.0)

    (found,) = workers({WORKER: note}, NOW_MS)

    assert (found.name, found.alive, found.last_progress_ms, found.rows_per_s) == ("worker@a", False, 5, 7.0)
