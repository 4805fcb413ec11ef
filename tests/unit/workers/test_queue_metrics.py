"""How old the oldest message of a queue is."""

from __future__ import annotations

import pytest

from workers.queue_metrics import age_s


def test_a_message_says_when_it_was_sent() -> None:
    """In a header of its own."""
    assert age_s(b'{"body": "...", "headers": {"task": "x", "sent_ms": 7000}}', 9_500) == 2.5


@pytest.mark.parametrize(
    "message", [None, b"", b"no json", b"[]", b"{}", b'{"headers": {}}', b'{"headers": {"sent_ms": "soon"}}']
)
def test_a_message_that_does_not_say_has_no_age(message: bytes | None) -> None:
    """Others may share the broker."""
    assert age_s(message, 9_500) == 0.0


def test_a_sender_whose_clock_is_ahead_makes_no_negative_age() -> None:
    """Clocks need not agree."""
    assert age_s(b'{"headers": {"sent_ms": 9999}}', 9_500) == 0.0
