"""What processes say of themselves."""

from __future__ import annotations

from precompute.role_notes import SILENT_MS, QueueNote, RoleName, RoleNote, names, notes, write_commands

WHO = RoleName("worker", "host with space-12")
NOTE = RoleNote(at_ms=1000, progress_ms=900, queues=(QueueNote("q", 3, None),))


def test_what_is_said_is_heard() -> None:
    """By name, in order; who has gone meanwhile says nothing."""
    said, known, _ = write_commands(WHO, NOTE)
    other = RoleName("refresher", "a")

    found = names([str(known[3]).encode(), b"refresher a"])

    assert found == [other, WHO]
    assert notes(found, [None, said[2]]) == {WHO: NOTE}
    assert str(WHO) == "worker@host with space-12"


def test_silence_is_death() -> None:
    """After a while."""
    assert NOTE.is_alive(1000 + SILENT_MS)
    assert not NOTE.is_alive(1001 + SILENT_MS)
