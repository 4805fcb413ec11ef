"""The short cut: GETs of predictions that memory does not answer reach those who can without routing.

uvicorn's request cycle, Starlette's routes and their scopes cost several times what a read from the replica does. What
stands here is one request of one connection: it takes the place of uvicorn's cycle, so that pipelined requests wait for
it, and writes the response in one piece. Whoever has that at hand needs no task; an ASGI application gets one, and
must answer with one body of known length.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from edge.api.predict import PREFIX
from edge.packets import fields_of

if TYPE_CHECKING:
    from edge.lane import LaneProtocol

log = logging.getLogger(__name__)

_PREFIX = PREFIX.encode()
#: What is left to do for a request.
Work = Callable[[], Awaitable[None]]


class _NeverWaited:
    """What uvicorn's connection tells its cycle about bodies and hang-ups, of which nobody here wants to know."""

    @staticmethod
    def set() -> None:
        pass


class ShortCycle:
    """Stands in for uvicorn's `RequestResponseCycle`; the attributes are mostly what its connection looks at."""

    __slots__ = ("_fields", "_lane", "_start", "_target", "disconnected", "keep_alive", "response_complete")

    message_event = _NeverWaited
    more_body = response_started = False

    def __init__(
        self, lane: LaneProtocol, target: bytes, fields: list[tuple[bytes, bytes]] | None = None, *, keep_alive: bool
    ) -> None:
        """`target` may be a whole packet, which is read if somebody wants to know; `fields` are missing then."""
        self.keep_alive = keep_alive
        self.disconnected = self.response_complete = False
        self._lane = lane
        self._target = target
        self._fields = fields
        self._start: Message = {}

    @property
    def target(self) -> bytes:
        """As it stands in the request."""
        return self._target if self._fields is not None else self._target.split(b" ", 2)[1]

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The header fields, names in lower case."""
        return self._fields if self._fields is not None else fields_of(self._target)

    @property
    def path(self) -> str:
        """The target without its query, for people."""
        return self.target.partition(b"?")[0].decode()

    def ask(self, app: ASGIApp) -> None:
        """Lets an application answer."""
        self.go_on(lambda: app(self._scope(), self._receive, self.send))

    def go_on(self, work: Work) -> None:
        """Answers in a task, for which a stop waits."""
        self._lane._start_asgi_task(self, work)  # type: ignore[arg-type]

    async def run_asgi(self, work: Work) -> None:
        """The task; whatever goes wrong, the connection does not stay as it is."""
        try:
            await work()
        except Exception:
            log.exception("GET %s failed", self.path)
        finally:
            self.give_up()

    def give_up(self) -> None:
        """Hangs up, if nothing was answered."""
        if not self.response_complete and not self.disconnected:
            self._lane.transport.close()

    def write_soon(self, response: bytes) -> None:
        """Answers with a whole response: now, or once a client that does not read does."""
        if self._lane.flow.write_paused:
            self.go_on(partial(self.write, response))
        else:
            self._write(response)

    async def write(self, response: bytes) -> None:
        """Answers with a whole response, for tasks."""
        if self._lane.flow.write_paused:
            await self._lane.flow.drain()
        self._write(response)

    async def send(self, message: Message) -> None:
        """What applications call."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        headers = [*self._lane.server_state.default_headers, *self._start["headers"]]
        parts = [b"%b: %b\r\n" % header for header in headers]
        await self.write(b"".join((STATUS_LINE[self._start["status"]], *parts, b"\r\n", message["body"])))

    def _write(self, response: bytes) -> None:
        if self.disconnected or self.response_complete:
            return
        transport = self._lane.transport
        self.response_complete = True
        if self.keep_alive:
            transport.write(response)
        else:
            transport.write(response.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))
            transport.close()
        self._lane.on_response_complete()

    async def _receive(self) -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    def _scope(self) -> Scope:
        path, _, query = self.target.partition(b"?")
        return {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": path.decode(),
            "raw_path": path,
            "query_string": query,
            "headers": self.fields,
        }


def leads_to_prediction(target: bytes) -> bool:
    """Whether a target is that of a prediction as it stands."""
    return target.startswith(_PREFIX) and target.isascii() and b"#" not in target
