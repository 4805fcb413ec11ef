"""Tries, before anybody is served, whether the installed uvicorn still works as the lane expects."""

from __future__ import annotations

import asyncio
import logging

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from edge.door import TargetDoor
from edge.lane import LaneProtocol, lane_protocol

_HIT = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhit"
#: One hit, a request that takes the short cut, and behind it one with a body and one more, which have to wait.
_SCRIPT = (
    b"GET /hit HTTP/1.1\r\nhost: x\r\n\r\n"
    b"GET /v1/predict/short HTTP/1.1\r\nhost: x\r\n\r\n"
    b"GET /miss HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody"
    b"GET /hit HTTP/1.1\r\nhost: x\r\n\r\n"
)
_NO_HTTP = b"\x16\x03\x01 no HTTP\r\n\r\n"


async def lane_is_supported() -> bool:
    """Whether a conversation without sockets goes as it should."""
    try:
        written = await _conversation()
    except Exception:  # Whatever it is that has changed in uvicorn, the answer is no.
        return False
    replies = [_HIT, b"/v1/predict/short ", b"/miss body", b"/hit ", b"HTTP/1.1 400 "]
    places = [written.find(reply) for reply in replies]
    return -1 not in places and places == sorted(places) and written.count(b"HTTP/1.1 ") == len(replies)


async def _conversation() -> bytes:
    protocol = lane_protocol(TargetDoor(lambda target: _HIT if target == b"/hit" else None), _echo)
    config = uvicorn.Config(_echo, http=protocol, ws="none", lifespan="off", log_config=None, access_log=False)
    config.load()
    state, transport = ServerState(), _Transport()
    lane: LaneProtocol = protocol(config, state, {}, asyncio.get_running_loop())
    lane.logger = logging.Logger("lane support", logging.CRITICAL)
    lane.connection_made(transport)
    for at in range(0, len(_SCRIPT), 7):
        lane.data_received(_SCRIPT[at : at + 7])
    async with asyncio.timeout(1.0):
        while not lane.is_idle() or lane.pipeline:  # noqa: ASYNC110  (uvicorn has no event for it)
            await asyncio.sleep(0)
    lane.data_received(_NO_HTTP)
    lane.connection_lost(None)
    return b"".join(transport.written)


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    text = scope["raw_path"] + b" " + (await receive()).get("body", b"")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]})
    await send({"type": "http.response.body", "body": text})


class _Transport(asyncio.Transport):
    """Remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self._closing = True

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass
