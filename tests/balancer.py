"""A small balancer, as careful as good ones are and no more.

It asks every upstream's /readyz all the time and sends requests to those that are ready, keeps connections, and does
not use one again whose upstream has said `Connection: close`. A request goes to another upstream if no connection
could be made, and, if repeating it does no harm, when the connection was closed before an answer began.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from tests.http_messages import Message, read_message

_HOST = "127.0.0.1"
_LOOK_S = 0.05
_TRIES = 3
_HARMLESS = ("GET", "HEAD")
_READY = Message("GET /readyz HTTP/1.1", {"host": "balancer"}, b"")
_NOBODY = Message("HTTP/1.1 502 Bad Gateway", {"content-length": "0"}, b"")

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class NotSent(Exception):
    """No connection could be made."""


class NoAnswer(Exception):
    """The connection was closed before an answer began."""


@dataclass(slots=True)
class Upstream:
    """One server, and the connections to it that are idle."""

    port: int
    is_ready: bool = False
    _idle: deque[_Streams] = field(default_factory=deque)

    async def exchange(self, request: Message) -> Message:
        """Sends a request and waits for its answer.

        Raises:
            NotSent, NoAnswer: there is none.
        """
        reader, writer = await self._connection()
        answer = None
        try:
            writer.write(request.encoded())
            answer = await read_message(reader)
        except ConnectionError:
            pass
        finally:
            if answer is None or answer.is_last:
                writer.close()
            else:
                self._idle.append((reader, writer))
        if answer is None:
            raise NoAnswer
        return answer

    async def _connection(self) -> _Streams:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        try:
            return await asyncio.open_connection(_HOST, self.port)
        except OSError:
            raise NotSent from None

    async def look(self) -> None:
        """Asks whether it is ready."""
        try:
            answer = await self.exchange(_READY)
        except (NotSent, NoAnswer):
            self.is_ready = False
        else:
            self.is_ready = answer.status == 200
        if not self.is_ready:
            self.close()

    def close(self) -> None:
        """Lets go of idle connections."""
        while self._idle:
            self._idle.pop()[1].close()


class Balancer:
    """Takes requests on `port`; `repeated` counts those that were sent again, by why."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.port = 0
        self.repeated: Counter[str] = Counter()
        self._upstreams = deque(Upstream(port) for port in ports)

    async def _forward(self, request: Message) -> Message:
        for _ in range(_TRIES):
            try:
                return await self._next().exchange(request)
            except NotSent:
                self.repeated["not sent"] += 1
            except NoAnswer:
                if request.start.split()[0] not in _HARMLESS:
                    break
                self.repeated["no answer"] += 1
        return _NOBODY

    def _next(self) -> Upstream:
        """Those that are ready take turns."""
        self._upstreams.rotate(-1)
        return next((upstream for upstream in self._upstreams if upstream.is_ready), self._upstreams[0])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, EOFError):
            while request := await read_message(reader):
                writer.write((await self._forward(request)).encoded())

    async def _look(self, upstream: Upstream) -> None:
        while True:
            await upstream.look()
            await asyncio.sleep(_LOOK_S)


@contextlib.asynccontextmanager
async def balancer(ports: Sequence[int]) -> AsyncIterator[Balancer]:
    """Runs one in front of these ports until the end of the block."""
    it = Balancer(ports)
    looking = [asyncio.create_task(it._look(upstream)) for upstream in it._upstreams]
    server = await asyncio.start_server(it._serve, _HOST, 0)
    it.port = server.sockets[0].getsockname()[1]
    try:
        yield it
    finally:
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)
        for upstream in it._upstreams:
            upstream.close()
        server.close()
