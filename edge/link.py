"""A Redis server that one event loop talks to, through one pipelined connection that is made anew when it is lost."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from typing import Any

from redis.connection import parse_url

from edge.redis_wire import Then, Wire
from precompute.errors import ConfigError, StoreUnavailable
from precompute.store import display_url
from precompute.updates import Command, Reply

log = logging.getLogger(__name__)

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
        self._wire: Wire | None = None
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

    def run(self, commands: Sequence[Command]) -> asyncio.Future[list[Reply]]:
        """Sends commands back to back; error replies stand in the list as `CommandFailed`.

        Raises:
            StoreUnavailable: not connected.
            Overloaded: too much is in flight already.
        """
        return self._connected().run(commands)

    def send(self, commands: Sequence[Command], then: Then) -> None:
        """As `run`, for whoever has gathered already: they leave now, behind what was run before.

        `then` is told as soon as the replies are there. A future would cost each of those who wait a turn of the loop.
        """
        wire = self._connected()
        wire.send(commands, then)
        wire.flush()

    def _connected(self) -> Wire:
        if self._wire is None:
            raise StoreUnavailable(f"Redis at {display_url(self.url)} is unavailable")
        return self._wire

    async def _connect(self) -> Wire:
        wire = Wire(asyncio.get_running_loop(), self._timeout_s)
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

    async def _reach(self, wire: Wire) -> None:
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

    async def _greet(self, wire: Wire) -> None:
        options, hello = self._options, list[Command]()
        if options.get("password"):
            user = (options["username"],) if options.get("username") else ()
            hello.append(("AUTH", *user, options["password"]))
        if options.get("db"):
            hello.append(("SELECT", options["db"]))
        hello.append(("CLIENT", "SETNAME", self._name))
        for reply in await wire.run(hello):
            if isinstance(reply, Exception):
                wire.drop(str(reply))
                raise StoreUnavailable(f"Redis at {display_url(self.url)} refuses us: {reply}")

    async def _keep(self, wire: Wire) -> None:
        while True:
            await wire.closed.wait()
            self._wire = None
            self.connected.clear()
            log.warning("lost Redis at %s: %s", display_url(self.url), wire.reason)
            wire = await self._reconnect()
            log.info("connected to Redis at %s again", display_url(self.url))

    async def _reconnect(self) -> Wire:
        pause_s = _FIRST_PAUSE_S
        while True:
            self.reconnects += 1
            try:
                return await self._connect()
            except StoreUnavailable:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
