"""The bytes of a memory hit: the same response that the plain way would give, put together from prepared parts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from edge.answer import Ladder
from edge.api.headers import cache_control, tag_headers
from edge.api.predict import PREFIX
from edge.api.wire import JSON
from edge.held import Held
from edge.serving import Serving
from edge.stats import Stats, Tier
from precompute.keys import entry_prefix

_PREFIX = PREFIX.encode()
_PREFIX_BYTES = len(_PREFIX)
_START = b"HTTP/1.1 200 OK\r\n"
#: What may mean something else in a query than behind the `?` of a key: escapes, and parameters of the request.
_NOT_IN_KEYS = (b"~", b"variant=", b"budget_ms=")

#: `Server-Timing` for 0 to 999 µs; formatting a number for each hit would cost more than finding it.
_TIMING = [b"server-timing: memory;dur=%.3f\r\n" % (us / 1000) for us in range(1000)]


@dataclass(frozen=True, slots=True)
class _Served:
    """What follows from a model's name while nothing else is published."""

    generation: int
    prefix: str
    max_age_s: float
    count: Callable[[str], None]
    observe: Callable[[float], None]


class HitDoor:
    """Answers GETs of fresh entries in memory; `answer` is the lane's door."""

    def __init__(
        self,
        ladder: Ladder,
        serving: Serving,
        stats: Stats,
        counter: Callable[[str], Callable[[str], None]],
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._now_ns = now_ns
        self._ladder = ladder
        self._serving = serving
        self._stats = stats
        self._counter = counter
        self._served: dict[bytes, _Served] = {}
        self._second = 0
        self._start = b""

    def answer(self, target: bytes, arrived_s: float) -> bytes | None:
        """The whole response, or None if this is not a plain hit.

        A key that is not spelled canonically is not found here and takes the plain way.
        """
        if not target.startswith(_PREFIX):
            return None
        name, _, key = target[_PREFIX_BYTES:].partition(b"/")
        served = self._served.get(name)
        if served is None or served.generation != self._serving.generation:
            served = self._learn(name)
            if served is None:
                return None
        if not key.isascii() or (b"?" in key and any(mark in key for mark in _NOT_IN_KEYS)):
            return None
        text = key.decode()
        now_ms = self._now_ns() // 1_000_000
        held = self._ladder.hit(served.prefix + text, now_ms)
        if held is None:
            return None
        served.count(text)
        took_s = time.perf_counter() - arrived_s
        served.observe(took_s)
        return self._response(served, held, now_ms, took_s)

    def _learn(self, name: bytes) -> _Served | None:
        """Called again for every request of a model that is not served; only served ones are remembered."""
        model = name.decode("ascii", "replace")
        version = self._serving.default_version(model)
        if version is None:
            self._served.pop(name, None)
            return None
        histogram = self._stats.histogram(model, Tier.MEMORY)
        served = self._served[name] = _Served(
            self._serving.generation,
            entry_prefix(model, version),
            self._serving.project.model(model).policy.max_age_s,
            self._counter(model),
            histogram.observe,
        )
        return served

    def _response(self, served: _Served, held: Held, now_ms: int, took_s: float) -> bytes:
        second = now_ms // 1000
        if second != self._second:
            self._second = second
            self._start = b"%sdate: %s\r\n" % (_START, formatdate(second, usegmt=True).encode())
        fresh_s = (held.fresh_until_ms - now_ms) // 1000
        age_s = (now_ms - held.computed_ms) // 1000
        return b"%b%bcache-status: nearcast-memory; hit; ttl=%d\r\nage: %d\r\n%b" % (
            self._start,
            _TIMING[int(took_s * 1_000_000) if took_s < 0.000999 else 999],
            fresh_s,
            age_s if age_s > 0 else 0,
            (held.wire or _keep(held)) if fresh_s >= served.max_age_s else _tail(held, fresh_s),
        )


def _keep(held: Held) -> bytes:
    """The part of the response that stays the same until others may keep the answer less than their full time."""
    held.wire = _tail(held, held.servable.model.policy.max_age_s)
    return held.wire


def _tail(held: Held, fresh_s: float) -> bytes:
    headers = [
        (b"content-type", JSON),
        (b"cache-control", cache_control(held, int(fresh_s))),
        (b"etag", held.etag),
        *tag_headers(held),
        (b"content-length", b"%d" % len(held.body)),
    ]
    return b"".join([b"%b: %b\r\n" % header for header in headers]) + b"\r\n" + held.body
