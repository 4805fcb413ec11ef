"""`GET /dashboard/data`: the document; `GET /dashboard/live`: the same as server-sent events, whenever a bucket closes.

Everybody who listens to the same range and node gets the same bytes: who looks on costs one document, not one each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from edge.api.problems import send_problem
from edge.api.wire import JSON, decode_utf8, send_response
from edge.dashboard.gather import Gatherer
from precompute.errors import InvalidRequest, NearcastError, Overloaded
from precompute.series import ARRIVED_MS
from precompute.telemetry import FINE

DATA = "/dashboard/data"
LIVE = "/dashboard/live"
#: Pages that may listen to one process, and different things that they may listen to.
MOST_LISTENERS = 64
MOST_CHANNELS = 8
#: Seconds that a document may look back.
RANGE_S = range(60, 86_401)
#: A balancer that hears nothing for long hangs up.
_HEARTBEAT_S = 15.0
#: After a bucket has ended, until all have written theirs.
_AFTER_MS = ARRIVED_MS + 100

_COMMENT = b": still here\n\n"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a document is about."""

    range_s: int
    node: str | None

    @classmethod
    def parse(cls, scope: Scope) -> Wanted:
        """Reads the query.

        Raises:
            InvalidRequest: it is not written like this.
        """
        try:
            fields = dict(parse_qsl(decode_utf8(scope["query_string"]), keep_blank_values=True, max_num_fields=8))
        except ValueError:
            raise InvalidRequest("more than 8 query parameters; there are range_s and node") from None
        text = fields.get("range_s", "900")
        if not text.isdecimal() or int(text) not in RANGE_S:
            raise InvalidRequest(f"range_s={text!r:.40} must be {RANGE_S[0]} to {RANGE_S[-1]} seconds")
        return cls(int(text), fields.get("node") or None)


class Data:
    """One ASGI application."""

    def __init__(self, gatherer: Gatherer) -> None:
        self._gatherer = gatherer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        try:
            wanted = Wanted.parse(scope)
            document = await self._gatherer.document(wanted.range_s, wanted.node)
        except NearcastError as error:
            await send_problem(send, error)
        else:
            headers = [(b"content-type", JSON), (b"cache-control", b"no-store")]
            await send_response(send, 200, headers, document.encode(), head=scope["method"] == "HEAD")


@dataclass(slots=True, eq=False)
class _Channel:
    """What is told to all who want the same."""

    event: bytes = b""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    listeners: int = 0
    task: asyncio.Task[None] | None = None

    def tell(self, event: bytes) -> None:
        self.event = event
        self.news.set()
        self.news = asyncio.Event()


class Events:
    """One ASGI application.

    Attributes:
        listeners: connections that are told.
    """

    def __init__(self, gatherer: Gatherer, now_ms: Callable[[], int]) -> None:
        self._gatherer = gatherer
        self._now_ms = now_ms
        self._channels: dict[Wanted, _Channel] = {}
        self._over = asyncio.Event()

    @property
    def listeners(self) -> int:
        """Those of all channels."""
        return sum(channel.listeners for channel in self._channels.values())

    @property
    def channels(self) -> Mapping[Wanted, object]:
        """What is being told, by what it is about."""
        return self._channels

    def close(self) -> None:
        """Ends all streams."""
        self._over.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, for as long as its client listens."""
        try:
            wanted = Wanted.parse(scope)
            channel = self._join(wanted)
        except NearcastError as error:
            await send_problem(send, error)
            return
        left = asyncio.ensure_future(_left(receive))
        try:
            await _begin(send)
            await self._stream(channel, send, left)
        finally:
            left.cancel()
            self._leave(wanted, channel)

    def _join(self, wanted: Wanted) -> _Channel:
        channel = self._channels.get(wanted)
        if self.listeners >= MOST_LISTENERS or (channel is None and len(self._channels) >= MOST_CHANNELS):
            raise Overloaded(f"{self.listeners} pages are listening already")
        if channel is None:
            channel = self._channels[wanted] = _Channel()
            channel.task = asyncio.create_task(self._tell(wanted, channel))
        channel.listeners += 1
        return channel

    def _leave(self, wanted: Wanted, channel: _Channel) -> None:
        channel.listeners -= 1
        if not channel.listeners and channel.task is not None:
            channel.task.cancel()
            del self._channels[wanted]

    async def _tell(self, wanted: Wanted, channel: _Channel) -> None:
        while True:
            try:
                document = await self._gatherer.document(wanted.range_s, wanted.node)
            except NearcastError as error:
                channel.tell(_event("problem", str(error).encode()))
            else:
                channel.tell(_event("data", document.encode()))
            now = self._now_ms()
            await asyncio.sleep((FINE.begin_ms(now - _AFTER_MS) + FINE.ms + _AFTER_MS - now) / 1000)

    async def _stream(self, channel: _Channel, send: Send, left: asyncio.Future[None]) -> None:
        over = asyncio.ensure_future(self._over.wait())
        event = channel.event
        try:
            while not (left.done() or over.done()):
                news = channel.news
                await send({"type": "http.response.body", "body": event or _COMMENT, "more_body": True})
                waiting = asyncio.ensure_future(news.wait())
                await asyncio.wait((waiting, left, over), timeout=_HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
                event = channel.event if waiting.done() else b""
                waiting.cancel()
            if not left.done():
                await send({"type": "http.response.body", "body": b""})
        finally:
            over.cancel()


def _event(name: str, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data.replace(b"\n", b" "))


async def _begin(send: Send) -> None:
    headers = [
        (b"content-type", b"text/event-stream"),
        (b"cache-control", b"no-store"),
        # nginx would wait until it has a buffer full of events.
        (b"x-accel-buffering", b"no"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def _left(receive: Receive) -> None:
    """Waits until the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
