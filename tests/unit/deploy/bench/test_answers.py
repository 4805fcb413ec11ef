"""What is read of an answer."""

from __future__ import annotations

import pytest

from deploy.bench.answers import read_answer

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncache-status: %b\r\nage: 1\r\n\r\nhello"


def test_an_answer_is_whole_with_its_last_byte() -> None:
    """Wherever packets end."""
    answer = ANSWER % b"nearcast-memory; hit; ttl=5"

    early = {read_answer(answer[:end]) for end in range(len(answer))}

    assert early == {None}
    assert read_answer(answer) == (200, "memory")


@pytest.mark.parametrize(
    ("status", "tier"),
    [
        (b"nearcast-memory; hit; ttl=5", "memory"),
        (b"nearcast-memory; hit; ttl=-5; detail=stale", "stale"),
        (b"nearcast-memory; fwd=stale; detail=default", "default"),
        (b"nearcast-replica; hit; ttl=5, nearcast-memory; fwd=uri-miss; stored", "replica"),
        (b"nearcast-replica; fwd=miss; stored, nearcast-memory; fwd=uri-miss; stored", "live"),
    ],
)
def test_tiers_are_told_apart(status: bytes, tier: str) -> None:
    """As `Cache-Status` names them."""
    assert read_answer(ANSWER % status) == (200, tier)


def test_other_servers_spell_and_order_their_fields_otherwise() -> None:
    """And need not say where an answer came from."""
    assert read_answer(b"HTTP/1.1 404 Not Found\r\nServer: x\r\nContent-Length: 0\r\n\r\n") == (404, "")
    assert read_answer(b"HTTP/1.1 200 OK\r\nCache-Status: nearcast-memory; hit\r\nContent-Length: 0\r\n\r\n") == (
        200,
        "memory",
    )


def test_an_answer_of_unknown_length_is_never_whole() -> None:
    """It ends with its connection, and so does a run."""
    assert read_answer(b"HTTP/1.1 200 OK\r\n\r\nhello") is None
