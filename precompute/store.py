"""The synchronous way to Redis: pipelines of plain commands on pooled connections, with bounded waits.

redis-py connects, authenticates and reads replies; commands are packed by hiredis in one go, which is what makes
a pipeline of thousands cheap. Replies are as the protocol has them (bytes, integers, lists); an error reply stands
in the list as a `CommandFailed`, because one refused command says nothing about its neighbours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from precompute.errors import ConfigError, NearcastError, StoreUnavailable
from precompute.updates import Command, Reply

#: Oldest server that has what we use (`XADD MINID`, `GET` in scripts on replicas).
MINIMUM_VERSION = (6, 2)

#: Error replies that mean "not now" rather than "never". Redis 6.2 wraps those of a script into a text of its own.
_NOT_NOW = re.compile(r"(?:^|: -)(?:LOADING|MASTERDOWN|READONLY|OOM|BUSY|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF)\b")


class CommandFailed(NearcastError):
    """Redis refused a command; the text is its reason."""


class Link:
    """One connection, leased: send and receive may overlap with other work in between."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._owed = 0

    def send(self, commands: Sequence[Command]) -> None:
        """Writes commands in one piece; their replies must be received later, in order."""
        packed = b"".join([hiredis.pack_command(c) for c in commands])  # type: ignore[arg-type]
        with _translated():
            self._connection.send_packed_command([packed])
        self._owed += len(commands)

    def receive(self, count: int) -> list[Reply]:
        """The next replies; error replies stand in the list as `CommandFailed`."""
        with _translated():
            replies = [self._reply() for _ in range(count)]
        self._owed -= count
        return replies

    def _reply(self) -> Reply:
        try:
            return self._connection.read_response(disable_decoding=True)
        except redis.ResponseError as error:
            return _failure(error)

    def close_if_owed(self) -> None:
        """A connection with unread replies must never serve anybody else."""
        if self._owed:
            self._connection.disconnect()


def _failure(error: redis.ResponseError) -> CommandFailed:
    # The client cuts the code off the text, and the code is what tells "not now" from "never".
    return CommandFailed(f"{error.status_code} {error}" if error.status_code else str(error))


class Store:
    """One Redis server, by URL."""

    def __init__(
        self, url: str, *, timeout_s: float = 10.0, connect_timeout_s: float = 2.0, connections: int = 8
    ) -> None:
        self.url = url
        try:
            self._pool = redis.BlockingConnectionPool.from_url(
                url,
                max_connections=connections,
                timeout=timeout_s,
                socket_timeout=timeout_s,
                socket_connect_timeout=connect_timeout_s,
                retry=Retry(NoBackoff(), 1),
                protocol=2,
                decode_responses=False,
            )
        except ValueError as error:
            raise ConfigError(f"not a Redis URL: {display_url(url)} ({error}); write redis://host:port/0") from None

    @contextmanager
    def lease(self) -> Iterator[Link]:
        """A connection of one's own for a while."""
        with _translated(self.url):
            connection = self._pool.get_connection()  # type: ignore[no-untyped-call]
        link = Link(connection)
        try:
            yield link
        except BaseException:
            connection.disconnect()
            raise
        finally:
            link.close_if_owed()
            self._pool.release(connection)  # type: ignore[no-untyped-call]

    def run(self, commands: Sequence[Command]) -> list[Reply]:
        """A pipeline on one connection, not a transaction.

        Raises:
            StoreUnavailable: the server cannot be reached, or does not answer in time.
        """
        with self.lease() as link:
            link.send(commands)
            return link.receive(len(commands))

    def call(self, *command: str | bytes | float) -> Reply:
        """One command.

        Raises:
            StoreUnavailable: as in `run`, or the server says "not now".
            CommandFailed: the server refused.
        """
        return checked(self.run([command])[0])

    def atomically(self, commands: Sequence[Command]) -> list[Reply]:
        """A MULTI/EXEC transaction; the replies of the commands."""
        replies = self.run([("MULTI",), *commands, ("EXEC",)])
        for reply in replies:
            checked(reply)
        return [checked(reply) for reply in replies[-1]]

    def check_version(self) -> None:
        """Refuses a server that is too old.

        Raises:
            ConfigError: older than `MINIMUM_VERSION`.
            StoreUnavailable: no answer.
        """
        text: bytes = self.call("INFO", "server")
        fields = dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
        found = fields.get("redis_version", "0.0")
        if tuple(int(n) for n in found.split(".")[:2]) < MINIMUM_VERSION:
            wanted = ".".join(map(str, MINIMUM_VERSION))
            raise ConfigError(f"Redis at {display_url(self.url)} is {found}; nearcast needs {wanted} or newer")

    def close(self) -> None:
        """Closes all connections."""
        self._pool.disconnect()


def checked(reply: Reply) -> Reply:
    """The reply, unless it is an error.

    Raises:
        StoreUnavailable: the server says "not now".
        CommandFailed: the server refused.
    """
    if isinstance(reply, redis.ResponseError):
        # As it stands inside the reply to EXEC.
        reply = _failure(reply)
    if isinstance(reply, Exception):
        if _NOT_NOW.search(str(reply)):
            raise StoreUnavailable(f"Redis says: {reply}") from None
        raise reply
    return reply


def display_url(url: str) -> str:
    """The URL without its password."""
    head, at, host = url.rpartition("@")
    return f"{head.partition('://')[0]}://***@{host}" if at else url


@contextmanager
def _translated(url: str = "") -> Iterator[None]:
    try:
        yield
    except redis.AuthenticationError as error:
        raise ConfigError(f"Redis refuses our password: {error}") from error
    except redis.ResponseError as error:
        raise ConfigError(f"Redis at {display_url(url)} refuses the connection: {error}") from error
    except (redis.RedisError, OSError) as error:
        where = f" at {display_url(url)}" if url else ""
        raise StoreUnavailable(f"Redis{where} is unavailable: {error}") from error
