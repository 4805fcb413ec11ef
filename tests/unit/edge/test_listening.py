"""Sockets that several processes listen on."""

from __future__ import annotations

import asyncio
import socket

import pytest

from edge.listening import bound, listening_together, take_over, url, waiting
from precompute.errors import ConfigError
from tests.waiting import until

HOST = "127.0.0.1"


def test_all_sockets_have_one_port() -> None:
    """Also if any free one will do."""
    with listening_together(HOST, 0, 3) as listeners:
        urls = {url(listener) for listener in listeners}

    assert len(urls) == 1


@pytest.mark.parametrize("shared", [True, False])
def test_a_port_of_somebody_else_is_refused(*, shared: bool) -> None:
    """Even if the system would let us share it."""
    with socket.create_server((HOST, 0), reuse_port=shared) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ConfigError, match=f"cannot listen on {HOST}:{port}"), listening_together(HOST, port, 2):
            pass
        with pytest.raises(ConfigError, match="choose another with --port"):
            bound(HOST, port)


def test_nobody_joins_unasked() -> None:
    """A second node on the port of a first is told, one process or several."""
    with listening_together(HOST, 0, 2) as listeners:
        port = listeners[0].getsockname()[1]

        with pytest.raises(ConfigError), listening_together(HOST, port, 2):
            pass
        with pytest.raises(ConfigError):
            bound(HOST, port)


def test_everybody_in_the_queue_is_taken_out() -> None:
    """All who have connected, at once; nobody is waited for."""
    with listening_together(HOST, 0, 1) as (listener,):
        clients = [socket.create_connection(listener.getsockname()) for _ in range(20)]

        taken = waiting(listener)
        after = waiting(listener)

    assert {one.getpeername() for one in taken} == {client.getsockname() for client in clients}
    assert after == []
    for connection in (*clients, *taken):
        connection.close()


async def test_connections_that_nobody_accepts_are_taken_over() -> None:
    """They are served by whoever looks into the queue, and no more once it is over."""
    served: list[socket.socket] = []

    async def serve(connection: socket.socket) -> None:
        served.append(connection)

    with listening_together(HOST, 0, 2) as listeners:
        address = listeners[0].getsockname()
        clients = [socket.create_connection(address) for _ in range(20)]
        over = False
        helping = asyncio.create_task(take_over(listeners, serve, lambda: over))

        await until(lambda: _is(len(served) == len(clients)))
        over = True

        await asyncio.wait_for(helping, 5.0)
    assert not any(connection.getblocking() for connection in served)
    for connection in (*clients, *served):
        connection.close()


async def _is(answer: bool) -> bool:
    return answer
