"""A keep-alive HTTP/1.1 client for many small requests, light enough to measure a fast server from one core.

Parsing is httptools'; a general client library costs several times what the edge takes to answer.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Self

import httptools

from precompute.errors import StoreUnavailable


@dataclass(slots=True)
class Reply:
    """One response as it arrived.

    Attributes:
        took_s: from the moment the request was written to the last byte of the answer.
    """

    status: int
    headers: dict[bytes, bytes]
    body: bytes
    took_s: float


class Connection(asyncio.Protocol):
    """One connection; requests are answered in the order they were sent."""

    def __init__(self, host: str) -> None:
        self._host = host.encode()
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[asyncio.Future[Reply], float]] = deque()
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []

    @classmethod
    async def open(cls, host: str, port: int) -> Self:
        """Connects. Raises OSError."""
        _, connection = await asyncio.get_running_loop().create_connection(lambda: cls(f"{host}:{port}"), host, port)
        return connection

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def get(self, path: str, extra: bytes = b"") -> asyncio.Future[Reply]:
        """Sends a GET; `extra` holds whole header lines.

        The future raises StoreUnavailable if the connection breaks.
        """
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        if self._transport is None or self._transport.is_closing():
            future.set_exception(StoreUnavailable("not connected to the edge"))
            return future
        self._waiting.append((future, time.perf_counter()))
        self._transport.write(b"GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (path.encode(), self._host, extra))
        return future

    def close(self) -> None:
        """Hangs up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._transport = None
        for future, _ in self._waiting:
            if not future.done():
                future.set_exception(StoreUnavailable(f"the edge hung up: {exc or 'closed'}"))
        self._waiting.clear()

    def on_message_begin(self) -> None:
        """Called by the parser."""
        self._headers, self._body = {}, []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        future, sent = self._waiting.popleft()
        if not future.done():
            took_s = time.perf_counter() - sent
            future.set_result(Reply(self._parser.get_status_code(), self._headers, b"".join(self._body), took_s))
