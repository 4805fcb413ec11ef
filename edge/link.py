"""One pipelined connection to a Redis server, for one event loop.

Commands are packed and replies parsed by hiredis. What is sent in one turn of the loop leaves in one write, in the next
turn unless somebody cannot wait; replies resolve futures in order. A caller may give up waiting, but a command in
flight is never cancelled: its reply is awaited and dropped, so nobody can be handed another's. The oldest one bounds
the wait of all: without a reply for `timeout_s` the connection is dropped and everything in flight fails.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Any

import hiredis
from redis.connection import parse_url

from precompute.errors import ConfigError, Overloaded, StoreUnavailable
from precompute.store import CommandFailed, display_url
from precompute.updates import Command, Reply

log = logging.getLogger(__name__)

#: Commands that may be in flight; far more than a healthy server leaves waiting.
MAX_IN_FLIGHT = 50_000
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0


class Link:
    """Keeps a connection open, reconnecting with backoff; while there is none, calls fail at once."""

    def __init__(self, url: str, *, timeout_s: float, name: str = "nearcast-edge") -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._name = name
        try:
            self._options: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]
        except ValueError as error:
            raise ConfigError(f"not a Redis URL: {display_url(url)} ({error})") from None
        self._wire: _Wire | None = None
        self._keeper: asyncio.Task[None] | None = None
        #: Set while connected.
        self.connected = asyncio.Event()
        self.reconnects = 0

    @property
    def is_connected(self) -> bool:
        """Whether a call has a chance."""
        return self._wire is not None

    async def open(self) -> None:
        """Connects for the first time, and keeps connected from then on.

        Raises:
            StoreUnavailable: not reachable.
        """
        wire = await self._connect()
        self._keeper = asyncio.create_task(self._keep(wire))

    async def open_eventually(self) -> None:
        """Like `open`, but a server that is away is waited for."""
        try:
            await self.open()
        except StoreUnavailable as error:
            log.warning("%s; going on without", error)
            self._keeper = asyncio.create_task(self._keep(await self._reconnect()))

    async def close(self) -> None:
        """Drops the connection for good."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._wire is not None:
            self._wire.drop("closed")

    def run(self, commands: Sequence[Command], *, at_once: bool = False) -> asyncio.Future[list[Reply]]:
        """Sends commands back to back; error replies stand in the list as `CommandFailed`.

        Args:
            at_once: they leave now, behind what was sent before: for whoever has gathered already.

        Raises:
            StoreUnavailable: not connected.
            Overloaded: too much is in flight already.
        """
        if self._wire is None:
            raise StoreUnavailable(f"Redis at {display_url(self.url)} is unavailable")
        return self._wire.send(commands, at_once=at_once)

    async def _connect(self) -> _Wire:
        wire = _Wire(asyncio.get_running_loop(), self._timeout_s)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._reach(wire)
                await self._greet(wire)
        except BaseException as error:
            wire.drop("never used")
            if not isinstance(error, OSError | TimeoutError):
                raise
            reason = str(error) or "no answer in time"
            raise StoreUnavailable(f"Redis at {display_url(self.url)} is unavailable: {reason}") from error
        self._wire = wire
        self.connected.set()
        return wire

    async def _reach(self, wire: _Wire) -> None:
        loop, options = asyncio.get_running_loop(), self._options
        if "path" in options:
            await loop.create_unix_connection(lambda: wire, options["path"])
        else:
            host, port = options.get("host", "127.0.0.1"), options.get("port", 6379)
            await loop.create_connection(lambda: wire, host, port, ssl=self._ssl())

    def _ssl(self) -> ssl.SSLContext | None:
        if not str(self._options.get("connection_class", "")).count("SSL"):
            return None
        return ssl.create_default_context(cafile=self._options.get("ssl_ca_certs"))

    async def _greet(self, wire: _Wire) -> None:
        options, hello = self._options, list[Command]()
        if options.get("password"):
            user = (options["username"],) if options.get("username") else ()
            hello.append(("AUTH", *user, options["password"]))
        if options.get("db"):
            hello.append(("SELECT", options["db"]))
        hello.append(("CLIENT", "SETNAME", self._name))
        for reply in await wire.send(hello):
            if isinstance(reply, Exception):
                wire.drop(str(reply))
                raise StoreUnavailable(f"Redis at {display_url(self.url)} refuses us: {reply}")

    async def _keep(self, wire: _Wire) -> None:
        while True:
            await wire.closed.wait()
            self._wire = None
            self.connected.clear()
            log.warning("lost Redis at %s: %s", display_url(self.url), wire.reason)
            wire = await self._reconnect()
            log.info("connected to Redis at %s again", display_url(self.url))

    async def _reconnect(self) -> _Wire:
        pause_s = _FIRST_PAUSE_S
        while True:
            self.reconnects += 1
            try:
                return await self._connect()
            except StoreUnavailable:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


class _Wire(asyncio.Protocol):
    """The bytes of one connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        self._loop = loop
        self._timeout_s = timeout_s
        self._reader = hiredis.Reader(replyError=CommandFailed)
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._in_flight: deque[tuple[int, asyncio.Future[list[Reply]], float]] = deque()
        self._replies: list[Reply] = []
        self._commands = 0
        self._watch: asyncio.TimerHandle | None = None
        self.closed = asyncio.Event()
        self.reason = ""

    def send(self, commands: Sequence[Command], *, at_once: bool = False) -> asyncio.Future[list[Reply]]:
        if self.closed.is_set():
            raise StoreUnavailable(f"Redis connection lost: {self.reason}")
        if self._commands + len(commands) > MAX_IN_FLIGHT:
            raise Overloaded(f"{self._commands} Redis commands are waiting for replies")
        future: asyncio.Future[list[Reply]] = self._loop.create_future()
        if not commands:
            # Waiting in the queue it would be handed the next caller's replies.
            future.set_result([])
            return future
        packed = [hiredis.pack_command(c) for c in commands]  # type: ignore[arg-type]
        if not self._unsent and not at_once:
            self._loop.call_soon(self._flush)
        self._unsent += packed
        self._in_flight.append((len(commands), future, self._loop.time()))
        self._commands += len(commands)
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout_s, self._check_wait)
        if at_once:
            self._flush()
        return future

    def _flush(self) -> None:
        # uvloop raises when asked to write to what it has closed and not told us of; whoever waits is told by then.
        if self._unsent and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._unsent))
        self._unsent = []

    def _check_wait(self) -> None:
        self._watch = None
        if self._in_flight:
            left_s = self._in_flight[0][2] + self._timeout_s - self._loop.time()
            if left_s <= 0:
                self.drop(f"no reply for {self._timeout_s:g} s")
            else:
                self._watch = self._loop.call_later(left_s, self._check_wait)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except hiredis.ProtocolError as error:
            self.drop(f"not the Redis protocol: {error}")

    def _take(self, reply: Reply) -> None:
        if not self._in_flight:
            self.drop(f"a reply that nobody asked for: {reply!r:.80}")
            return
        self._replies.append(reply)
        count, future, _ = self._in_flight[0]
        if len(self._replies) == count:
            self._in_flight.popleft()
            self._commands -= count
            replies, self._replies = self._replies, []
            if not future.done():
                future.set_result(replies)

    def connection_lost(self, exc: Exception | None) -> None:
        self.drop(str(exc) if exc else "closed by the server")

    def drop(self, reason: str) -> None:
        """Closes; everything in flight fails."""
        if self.closed.is_set():
            return
        self.reason = reason
        self.closed.set()
        if self._watch is not None:
            self._watch.cancel()
        if self._transport is not None:
            self._transport.abort()
        for _, future, _ in self._in_flight:
            if not future.done():
                future.set_exception(StoreUnavailable(f"Redis connection lost: {reason}"))
                future.exception()  # An abandoned wait is no unhandled error.
        self._in_flight.clear()
