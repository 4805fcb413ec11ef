"""The lane: memory hits are answered below ASGI, as soon as the parser has finished the headers.

uvicorn's protocol reads and parses; this subclass decides. A plain GET over HTTP/1.1 whose answer lies fresh in memory
is written from prepared bytes. Everything else (other methods, bodies, conditional requests, requests behind one that
is still being answered, misses) goes the plain way, untouched, through uvicorn's own code to Starlette.

Measured on one core with `wrk`, 32 connections: see `make bench`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from edge.api.guard import MAX_HEADER_BYTES, MAX_PATH_BYTES

#: A request that carries one of these may want something else than a plain answer.
_SPECIAL = frozenset(
    {
        b"cache-control",
        b"connection",
        b"content-length",
        b"expect",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"pragma",
        b"range",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    }
)
#: A client that goes on sending headers beyond this is hung up on.
_MAX_UNFINISHED_BYTES = 4 * MAX_HEADER_BYTES

#: The whole response to a GET of this target, or None for the plain way. Told when the request arrived.
Door = Callable[[bytes, float], bytes | None]


class LaneProtocol(HttpToolsProtocol):
    """One connection. `door` is set by `lane_protocol`."""

    door: Door

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fields: list[tuple[bytes, bytes]] = []
        self._field_bytes = 0
        self._plain = False
        self._in_lane = False
        self._answers: list[bytes] = []
        self._arrived_s = 0.0
        #: Event-loop time of the last bytes; `hang_up_idle` looks at it, which spares a timer for each answer.
        self.seen_s = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Called by the event loop. Answers of one packet leave in one write."""
        self._arrived_s = time.perf_counter()
        self.seen_s = self.loop.time()
        super().data_received(data)
        if self._answers:
            self._flush()
        if self._field_bytes > _MAX_UNFINISHED_BYTES and self.transport is not None:
            self.send_400_response("Headers too long.")

    def _flush(self) -> None:
        answers, self._answers = self._answers, []
        self.transport.write(b"".join(answers) if len(answers) > 1 else answers[0])

    def send_400_response(self, msg: str) -> None:
        """What was answered before the bad request goes out first."""
        if self._answers:
            self._flush()
        super().send_400_response(msg)

    def on_message_begin(self) -> None:
        """Called by the parser; uvicorn's own preparations wait until it is known that they are needed."""
        self.url = b""
        self._fields = []
        self._field_bytes = 0
        self._plain = self._in_lane = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        name = name.lower()
        self._fields.append((name, value))
        self._field_bytes += len(name) + len(value)
        if name in _SPECIAL:
            self._plain = True

    def on_headers_complete(self) -> None:
        """Called by the parser: the lane, or the plain way."""
        if self._may_take_lane():
            answer = self.door(self.url, self._arrived_s)
            if answer is not None:
                self._answers.append(answer)
                self._in_lane = True
                self._field_bytes = 0
                return
        self._go_plain()

    def _may_take_lane(self) -> bool:
        cycle, parser = self.cycle, self.parser
        return (
            not self._plain
            and (cycle is None or cycle.response_complete)
            and parser.get_method() == b"GET"
            and parser.get_http_version() == "1.1"
            and self._field_bytes <= MAX_HEADER_BYTES
            and len(self.url) <= MAX_PATH_BYTES
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )

    def _go_plain(self) -> None:
        url, fields = self.url, self._fields
        self._field_bytes = 0
        super().on_message_begin()
        self.url = url
        for name, value in fields:
            super().on_header(name, value)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Called by the parser; what goes the lane has none."""
        if not self._in_lane:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if self._in_lane:
            self.server_state.total_requests += 1
        else:
            super().on_message_complete()

    def is_idle(self) -> bool:
        """Whether nothing is being answered."""
        return self.cycle is None or self.cycle.response_complete


def lane_protocol(door: Door) -> type[LaneProtocol]:
    """The protocol class to give uvicorn as `http`."""
    return type("Lane", (LaneProtocol,), {"door": staticmethod(door)})


def hang_up_idle(connections: set[Any], now_s: float, keep_alive_s: float) -> None:
    """Closes connections that nothing has come in on for too long; to be called about once a second."""
    for connection in list(connections):
        if isinstance(connection, LaneProtocol) and connection.is_idle() and now_s - connection.seen_s > keep_alive_s:
            connection.transport.close()


async def sweep_idle(connections: set[Any], keep_alive_s: float) -> None:
    """Calls `hang_up_idle` once a second, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(1.0)
        hang_up_idle(connections, loop.time(), keep_alive_s)
