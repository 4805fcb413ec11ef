"""Reads answers while they come, as little of each as a load generator has to know."""

from __future__ import annotations

_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length: "
_CACHE_STATUS = b"\r\ncache-status: "
_MEMORY = b"nearcast-memory; hit"
_REPLICA = b"nearcast-replica; hit"
#: How an answer begins that most are like, and the rest of its line if nothing but a number follows.
_OK = b"HTTP/1.1 200"
_FRESH = _CACHE_STATUS + _MEMORY + b"; ttl="
_MEMORY_HIT = (200, "memory")


def read_answer(data: bytes) -> tuple[int, str] | None:
    """The status of a whole answer, and the tier if it names one; None while more of it has to come.

    An answer of unknown length is never whole.
    """
    end = data.find(_END)
    if end < 0:
        return None
    # From behind: it is the last field of a nearcast edge's.
    head, length_at = data, data.rfind(_LENGTH, 0, end)
    if length_at < 0:
        # Others write the names of their fields as they like.
        head = data[:end].lower() + _END
        length_at = head.rfind(_LENGTH)
        if length_at < 0:
            return None
    begin = length_at + len(_LENGTH)
    if len(data) < end + len(_END) + int(head[begin : head.find(b"\r", begin)]):
        return None
    fresh_at = head.find(_FRESH, 0, end)
    if fresh_at >= 0 and data.startswith(_OK):
        ttl_at = fresh_at + len(_FRESH)
        if head[ttl_at : head.find(b"\r", ttl_at)].isdigit():
            return _MEMORY_HIT
    at = head.find(_CACHE_STATUS, 0, end)
    return int(data[9:12]), _tier(head, at + len(_CACHE_STATUS), end) if at >= 0 else ""


def _tier(head: bytes, at: int, end: int) -> str:
    """Where an answer came from, in the words of `Cache-Status`, whose value begins there."""
    stop = head.find(b"\r", at, end)
    stop = end if stop < 0 else stop
    detail_at = head.find(b"detail=", at, stop)
    if detail_at >= 0:
        return head[detail_at + 7 : stop].decode()
    if head.startswith(_MEMORY, at):
        return "memory"
    return "replica" if head.startswith(_REPLICA, at) else "live"
