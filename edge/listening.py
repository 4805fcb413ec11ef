"""The sockets of a node: one that a single process has for itself, or one for each process, all on one port.

Two processes under 32 connections of wrk, ten times each: with one socket that both accept from, whoever woke first
took what was there, and the smaller share was 0 to 14 of 32, mostly under 6. With a socket for each (`SO_REUSEPORT`)
the kernel deals by a hash of the addresses: 13 to 16 of 32. So it is one for each; and so that nothing is lost in the
queue of a process that ends, whoever starts the processes keeps all sockets open, and `take_over` empties the queues of
those that do not do it themselves. A system that deals all to one socket (macOS) leaves the other processes idle.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence

from precompute.errors import ConfigError

BACKLOG = 2048
#: What is being answered when connections are closed may take so long.
FINISH_S = 10
#: What waits in the queue of a process that is not there waits so long, on average half of it. Looking costs each
#: process a system call for each of the others.
_LOOK_S = 0.02


def bound(host: str, port: int) -> socket.socket:
    """A socket on an address that nobody else has; port 0 is any free one.

    Raises:
        ConfigError: somebody has it, or there is no such address.
    """
    listener = _socket(host)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port") from None
    return listener


@contextlib.contextmanager
def listening_together(host: str, port: int, count: int) -> Iterator[list[socket.socket]]:
    """Sockets that listen on one address, as long as the block lasts.

    Raises:
        ConfigError: somebody has it, or the system cannot do it.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise ConfigError("several processes cannot share a port on this system; use --processes 1")
    # Alone first: another node of the same user would share its port with us without a word.
    with bound(host, port) as probe:
        address = probe.getsockname()
    with contextlib.ExitStack() as open_ones:
        listeners = [open_ones.enter_context(_socket(host)) for _ in range(count)]
        for listener in listeners:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.setblocking(False)
            try:
                listener.bind(address)
            except OSError as error:
                raise ConfigError(f"cannot listen on {host}:{address[1]} together: {error.strerror}") from None
            listener.listen(BACKLOG)
        yield listeners


async def take_over(
    listeners: Sequence[socket.socket],
    serve: Callable[[socket.socket], Awaitable[None]],
    is_over: Callable[[], bool],
) -> None:
    """Serves the connections that nobody accepts, until it is over or cancelled."""
    while listeners and not is_over():
        await asyncio.sleep(_LOOK_S)
        for listener in listeners:
            for connection in waiting(listener):
                with contextlib.suppress(OSError):  # It has hung up meanwhile.
                    await serve(connection)


def waiting(listener: socket.socket) -> list[socket.socket]:
    """Accepts all who wait in the queue of a socket that does not block."""
    found = []
    while (connection := _accepted(listener)) is not None:
        found.append(connection)
    return found


def url(listener: socket.socket) -> str:
    """Where a socket listens."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _socket(host: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return listener


def _accepted(listener: socket.socket) -> socket.socket | None:
    try:
        connection, _ = listener.accept()
    except OSError:
        return None  # Nobody waits, or who waited has left.
    connection.setblocking(False)
    return connection
