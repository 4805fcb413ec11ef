"""The bytes of a memory hit: the same response that the plain way would give, put together from prepared parts."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate

from edge.answer import Ladder
from edge.api.headers import cache_control, tag_headers
from edge.api.predict import PREFIX
from edge.held import Held
from edge.serving import Serving
from edge.stats import Histogram, Stats, Tier

_PREFIX = PREFIX.encode()
_START = b"HTTP/1.1 200 OK\r\n"

#: `Server-Timing` for 0 to 999 µs; formatting a number for each hit would cost more than finding it.
_TIMING = [b"server-timing: memory;dur=%.3f\r\n" % (us / 1000) for us in range(1000)]


class HitDoor:
    """Answers GETs of fresh entries in memory; `answer` is the lane's door."""

    def __init__(self, ladder: Ladder, serving: Serving, stats: Stats, count: Callable[[str, str], None]) -> None:
        self._ladder = ladder
        self._serving = serving
        self._stats = stats
        self._count = count
        self._second = 0
        self._date = b""

    def answer(self, target: bytes, arrived_s: float) -> bytes | None:
        """The whole response, or None if this is not a plain hit.

        A key that is not spelled canonically is not found here and takes the plain way.
        """
        if not target.startswith(_PREFIX):
            return None
        name, _, key = target[len(_PREFIX) :].partition(b"/")
        try:
            model, text = name.decode("ascii"), key.decode("ascii")
        except UnicodeDecodeError:
            return None
        version = self._serving.default_version(model)
        if version is None:
            return None
        now_ns = time.time_ns()
        held = self._ladder.hit(f"p:{model}:{version}:{text}", now_ns // 1_000_000)
        if held is None:
            return None
        self._count(model, text)
        return self._response(model, held, now_ns, arrived_s)

    def _response(self, model: str, held: Held, now_ns: int, arrived_s: float) -> bytes:
        now_ms = now_ns // 1_000_000
        second = now_ms // 1000
        if second != self._second:
            self._second, self._date = second, b"date: %s\r\n" % formatdate(second, usegmt=True).encode()
        fresh_s = (held.fresh_until_ms - now_ms) // 1000
        took_s = time.perf_counter() - arrived_s
        self._histogram(model).observe(took_s)
        return b"".join(
            (
                _START,
                self._date,
                b"cache-status: nearcast-memory; hit; ttl=%d\r\nage: %d\r\n"
                % (fresh_s, max(0, now_ms - held.computed_ms) // 1000),
                _TIMING[min(999, int(took_s * 1_000_000))],
                held.wire or _prepared(held, fresh_s),
            )
        )

    def _histogram(self, model: str) -> Histogram:
        return self._stats.histogram(model, Tier.MEMORY)


def _prepared(held: Held, fresh_s: int) -> bytes:
    """The part of the response that stays the same for as long as the entry does."""
    headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", cache_control(held, fresh_s)),
        (b"etag", held.etag),
        *tag_headers(held),
        (b"content-length", b"%d" % len(held.body)),
    ]
    wire = b"".join([b"%s: %s\r\n" % header for header in headers]) + b"\r\n" + held.body
    # A policy that lets others keep the answer says for how long, and that shrinks.
    if not held.servable.model.policy.max_age_s:
        held.wire = wire
    return wire
