"""The lane: memory hits are answered below ASGI, as soon as the parser has finished the headers.

uvicorn's protocol reads and parses; this subclass decides.

1. A plain GET over HTTP/1.1 whose answer lies fresh in memory is written from prepared bytes. Clients send the same
   bytes again for the same key; what the parser made of them is remembered.
2. Other GETs of predictions take the short cut to their application.
3. Everything else (other methods, bodies, requests behind one that is still being answered) goes the plain way,
   untouched, through uvicorn's own code to Starlette.

What it relies on in uvicorn is tried by `edge.lane_support` before it is used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from httptools import HttpParserError, HttpParserUpgrade
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from edge.api.guard import MAX_HEADER_BYTES, MAX_PATH_BYTES
from edge.door import NO_DOOR, Door
from edge.orderly import OrderlyProtocol
from edge.packets import PARTS, Packets
from edge.short_cut import ShortCycle, leads_to_prediction

#: A request that carries one of these may want something else than what memory has.
_CONDITIONS = frozenset(
    {
        b"cache-control",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"pragma",
        b"range",
    }
)
#: These are about the connection or a body, and uvicorn knows what to do.
_UVICORNS = frozenset({b"connection", b"content-length", b"expect", b"te", b"transfer-encoding", b"upgrade"})
_SPECIAL = _CONDITIONS | _UVICORNS
#: A client that sends so much without ending its headers, or a line of a chunked body, is hung up on.
_MAX_UNFINISHED_BYTES = 4 * MAX_HEADER_BYTES
#: A packet of at most so many bytes holds no request that breaks a limit.
_SMALL_BYTES = MAX_PATH_BYTES
#: Answers to one packet that wait for the next write; so a client that does not read is noticed soon.
_MAX_UNWRITTEN = 64
#: A whole request ends so, one without a body.
_END = b"\r\n\r\n"

M = TypeVar("M")

#: Answers a GET that memory did not, given what it means if that is known; says whether it will.
Fetching = Callable[[ShortCycle, Any], bool]


def _unknown(packet: bytes) -> None:
    """Recalls nothing."""


_KNOWS_NOTHING: Sequence[Callable[[bytes], Any]] = [_unknown] * PARTS


class LaneProtocol(OrderlyProtocol):
    """One connection; `lane_protocol` sets the attributes that are named here.

    Attributes:
        door: answers from memory.
        packets: what is remembered of all connections.
        short_cut: answers other GETs of predictions; None if they shall go the plain way.
        fetch: asked before that for plain ones.
    """

    door: Door[Any]
    packets: Packets[Any]
    short_cut: ASGIApp | None
    fetch: Fetching
    #: uvicorn's preparations wait until it is known that they are needed; the parser does not call None.
    on_message_begin = None  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.url = b""
        self._door, self._again = type(self).door, type(self).door.again
        self._fields: list[tuple[bytes, bytes]] = []
        self._plain = self._conditional = False
        self._in_lane = False
        self._careful = False
        #: Whether the parser stands between two messages; what came before them may still be being answered.
        self._between = True
        self._messages = 0
        #: The last target that memory or the replica was asked for.
        self._last = b""
        self._recalls: Sequence[Callable[[bytes], Any]] = type(self).packets.recalls
        if self.draining:
            self.begin_draining()

    def data_received(self, data: bytes) -> None:
        """Called by the event loop. Answers of one packet leave in one write."""
        self.seen_s = arrived_s = time.perf_counter()
        meaning = self._recalls[hash(data) % PARTS](data)
        if meaning is not None and self._between and not self.flow.write_paused:
            cycle = self.cycle
            if cycle is None or cycle.response_complete:
                answer = self._again(meaning, arrived_s)
                if answer is not None:
                    self.transport.write(answer)
                    return
                if self._fetch_again(data, meaning):
                    return
        self._parse(data)

    def _fetch_again(self, packet: bytes, meaning: Any) -> bool:
        """Takes the short cut without parsing; whether that was possible."""
        cycle = ShortCycle(self, packet, keep_alive=True)
        self.cycle = cycle  # type: ignore[assignment]
        if type(self).fetch(cycle, meaning):
            return True
        self.cycle = None  # type: ignore[assignment]
        return False

    def _parse(self, data: bytes) -> None:
        size, between = len(data), self._between
        self._between, self._messages, self._last = False, 0, b""
        # A request that comes whole in one small packet cannot have too many bytes of headers.
        self._careful = size > _SMALL_BYTES or self._unfinished_bytes > 0 or self.url != b""
        self._unfinished_bytes += size
        try:
            self.parser.feed_data(data)
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
            return
        except HttpParserUpgrade:
            # Nobody here speaks anything else; what was asked is answered, and that was the last of it.
            self._recalls = _KNOWS_NOTHING
        self._between = self.url == b"" and data.endswith(_END)
        if self._last and between and self._between and self._messages == 1:
            self._learn(data, self._last)
        if self._answers:
            self._flush()
        if self._unfinished_bytes > _MAX_UNFINISHED_BYTES and not self.transport.is_closing():
            self._refuse(self._send_431_response)

    def _learn(self, packet: bytes, target: bytes) -> None:
        packets, door = type(self).packets, type(self).door
        # Asked of everybody's door: this connection's may be closed by now, and to that one nothing means anything.
        if packets.is_worth_keeping(packet) and (meaning := door.meaning(target)) is not None:
            packets.keep(packet, meaning)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        name = name.lower()
        self._fields.append((name, value))
        if name in _SPECIAL:
            if name in _CONDITIONS:
                self._conditional = True
            elif name != b"connection" or value.lower() != b"keep-alive":
                self._plain = True

    def on_headers_complete(self) -> None:
        """Called by the parser: the lane, the short cut, or the plain way."""
        if self._plain or not self._may_take_lane():
            self._go_plain()
            return
        answer = None if self._conditional else self._door.answer(self.url, self.seen_s)
        if answer is not None:
            self._in_lane = True
            self._last = self.url
            self._answers.append(answer)
            if len(self._answers) >= _MAX_UNWRITTEN:
                self._flush()
        else:
            self._take_short_cut()

    def _may_take_lane(self) -> bool:
        cycle, parser = self.cycle, self.parser
        return (
            (cycle is None or cycle.response_complete)
            and parser.get_method() == b"GET"
            and parser.get_http_version() == "1.1"
            and not self.flow.write_paused
            and not (self._careful and self._is_long())
        )

    def _is_long(self) -> bool:
        headers = sum([len(name) + len(value) for name, value in self._fields])
        return len(self.url) > MAX_PATH_BYTES or headers > MAX_HEADER_BYTES

    def _take_short_cut(self) -> None:
        app, fetch = type(self).short_cut, type(self).fetch
        if app is None or not leads_to_prediction(self.url):
            self._go_plain()
            return
        self._in_lane = True
        cycle = ShortCycle(self, self.url, self._fields, keep_alive=not self.draining)
        self.cycle = cycle  # type: ignore[assignment]
        if self._conditional or not fetch(cycle, None):
            cycle.ask(app)
        else:
            self._last = self.url

    def _go_plain(self) -> None:
        url, fields = self.url, self._fields
        HttpToolsProtocol.on_message_begin(self)
        self.url = url
        for name, value in fields:
            super().on_header(name, value)
        super().on_headers_complete()
        if self.draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Called by the parser; what goes the lane has none."""
        self._unfinished_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser. Fields that came behind a chunked body are dropped here."""
        if not self._in_lane:
            super().on_message_complete()
        self._messages += 1
        self.url = b""
        self._fields = []
        self._plain = self._conditional = self._in_lane = False
        self._unfinished_bytes = 0

    def begin_draining(self) -> None:
        """From now on every answer is the last one of its connection."""
        super().begin_draining()
        self._door, self._recalls = NO_DOOR, _KNOWS_NOTHING


def _not(cycle: ShortCycle, meaning: object) -> bool:
    """Fetches nothing."""
    return False


def lane_protocol(door: Door[M], short_cut: ASGIApp | None = None, fetch: Fetching = _not) -> type[LaneProtocol]:
    """The protocol class to give uvicorn as `http`."""
    parts = {"door": door, "packets": Packets[M](), "short_cut": short_cut, "fetch": staticmethod(fetch)}
    return type("Lane", (LaneProtocol,), parts)
