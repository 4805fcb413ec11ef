"""The short cut: GETs of predictions that memory does not answer reach their ASGI application without routing.

uvicorn's request cycle, Starlette's routes and their scopes cost several times what a read from the replica does. What
stands here is one request of one connection: it takes the place of uvicorn's cycle, so that pipelined requests wait for
it, and writes the response, which must come as one body of known length, in one piece.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from edge.api.predict import PREFIX

if TYPE_CHECKING:
    from edge.lane import LaneProtocol

log = logging.getLogger(__name__)

_PREFIX = PREFIX.encode()
#: What stands in the scope beside what ASGI knows: the target as it came, whether a header may want something else than
#: a plain answer, and what writes a whole response as it is.
TARGET, CONDITIONAL, RAW = "nearcast.target", "nearcast.conditional", "nearcast.raw"


class _NeverWaited:
    """What uvicorn's connection tells its cycle about bodies and hang-ups, of which nobody here wants to know."""

    @staticmethod
    def set() -> None:
        pass


class ShortCycle:
    """Stands in for uvicorn's `RequestResponseCycle`; the attributes are what its connection looks at."""

    __slots__ = ("_lane", "_start", "disconnected", "keep_alive", "response_complete", "response_started", "scope")

    message_event = _NeverWaited
    more_body = False

    def __init__(self, lane: LaneProtocol, scope: Scope) -> None:
        self.scope = scope
        scope[RAW] = self._write
        self.keep_alive = True
        self.disconnected = self.response_started = self.response_complete = False
        self._lane = lane
        self._start: Message = {}

    async def run_asgi(self, app: ASGIApp) -> None:
        """The whole request; whatever goes wrong, the connection does not stay as it is."""
        try:
            await app(self.scope, self._receive, self._send)
        except Exception:
            log.exception("GET %s failed", self.scope["path"])
        finally:
            if not self.response_complete and not self.disconnected:
                self._lane.transport.close()

    async def _receive(self) -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        headers = [*self._lane.server_state.default_headers, *self._start["headers"]]
        parts = [b"%b: %b\r\n" % header for header in headers]
        await self._write(b"".join((STATUS_LINE[self._start["status"]], *parts, b"\r\n", message["body"])))

    async def _write(self, response: bytes) -> None:
        lane = self._lane
        if lane.flow.write_paused:
            await lane.flow.drain()
        if self.disconnected or self.response_complete:
            return
        self.response_started = True
        if not self.keep_alive:
            response = response.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)
        lane.transport.write(response)
        self.response_complete = True
        if not self.keep_alive:
            lane.transport.close()
        lane.on_response_complete()


def short_scope(target: bytes, fields: list[tuple[bytes, bytes]], *, conditional: bool) -> Scope | None:
    """What the application needs to know of a GET; None if its target is not that of a prediction as it stands."""
    if not target.startswith(_PREFIX) or not target.isascii() or b"#" in target:
        return None
    path, _, query = target.partition(b"?")
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path.decode(),
        "raw_path": path,
        "query_string": query,
        "headers": fields,
        TARGET: target,
        CONDITIONAL: conditional,
    }
