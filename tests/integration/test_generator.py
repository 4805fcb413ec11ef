"""The load generator against a server whose speed is known."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from deploy.bench.generator import Generator
from precompute.errors import StoreUnavailable
from tests.bench.compiled_generator import CompiledGenerator

pytestmark = pytest.mark.integration

#: All that an open loop has to be.
open_loops = pytest.mark.parametrize("kind", [Generator, CompiledGenerator])

REQUEST = b"GET / HTTP/1.1\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nCache-Status: nearcast-memory; hit; ttl=5\r\nContent-Length: 5\r\n\r\nhello"


@contextmanager
def server(answer: Callable[[socket.socket, int], None]) -> Iterator[int]:
    """One thread for each connection; `answer` is told how many requests came before on it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        # A load that ends hangs up, whatever is on its way.
        with connection, suppress(OSError):
            count = 0
            while connection.recv(1 << 16):
                answer(connection, count)
                count += 1

    def accept() -> None:
        try:
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
        except OSError:
            return

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_answers_may_come_in_pieces() -> None:
    """However they are cut, each is counted once, with its tier."""

    def answer(connection: socket.socket, count: int) -> None:
        for piece in (ANSWER[:20], ANSWER[20:90], ANSWER[90:]):
            connection.sendall(piece)

    with server(answer) as port:
        outcome = Generator("127.0.0.1", port, [REQUEST], 2).closed_loop(0.2)

    assert outcome.statuses.keys() == {200}
    assert outcome.tiers == {"memory": outcome.statuses[200]}
    assert len(outcome.latencies_s) == outcome.statuses[200] > 0
    assert outcome.failed() == 0
    assert outcome.opened == 2


@open_loops
def test_an_open_loop_reads_answers_of_any_kind(kind: type[Generator]) -> None:
    """Cut into pieces, spelt otherwise, and with or without a tier."""
    other = b"HTTP/1.1 404 Not Found\r\ncontent-length: 12\r\n\r\nnot\r\n\r\nfound"

    def answer(connection: socket.socket, count: int) -> None:
        whole = (ANSWER, other)[count % 2]
        for piece in (whole[:20], whole[20:60], whole[60:]):
            connection.sendall(piece)
            time.sleep(0.001)

    with server(answer) as port:
        outcome = kind("127.0.0.1", port, [REQUEST], 2).open_loop(0.2, 100.0)

    assert outcome.kinds == {(200, "memory"): 10, (404, ""): 10}
    assert len(outcome.latencies_s) == 20
    assert outcome.unanswered == 0


@open_loops
def test_a_server_that_stands_still_keeps_everybody_waiting_who_was_due(kind: type[Generator]) -> None:
    """In an open loop: one stop of half a second delays all that fall into it, not only the one that met it."""
    stopped = threading.Event()

    def answer(connection: socket.socket, count: int) -> None:
        if not stopped.is_set() and count == 20:
            stopped.set()
            time.sleep(0.5)
        connection.sendall(ANSWER)

    with server(answer) as port:
        outcome = kind("127.0.0.1", port, [REQUEST], 1).open_loop(1.0, 100.0)

    assert len(outcome.latencies_s) == 100
    assert sum(latency > 0.1 for latency in outcome.latencies_s) >= 30


@open_loops
def test_requests_that_are_never_answered_are_counted(kind: type[Generator]) -> None:
    """Those in flight, and those that found no connection; the one that opened it counts for nothing."""
    generator = kind("127.0.0.1", 0, [REQUEST], 1, grace_s=0.2)
    with server(lambda connection, count: connection.sendall(ANSWER) if count < 6 else None) as port:
        generator.port = port
        outcome = generator.open_loop(0.3, 100.0)

    assert outcome.statuses == {200: 5}
    assert outcome.failed() == 25


def test_a_server_that_hangs_up_is_no_figure() -> None:
    """Nor one that is not there."""
    hang_up = server(lambda connection, _: connection.shutdown(socket.SHUT_RDWR))
    with hang_up as port, pytest.raises(StoreUnavailable, match="hung up"):
        Generator("127.0.0.1", port, [REQUEST], 1).closed_loop(1.0)
    with pytest.raises(StoreUnavailable, match="nobody answers"):
        Generator("127.0.0.1", port, [REQUEST], 1).closed_loop(1.0)


@open_loops
@pytest.mark.parametrize("answer", [b"", ANSWER[:50]])
def test_a_server_that_hangs_up_ends_an_open_loop(kind: type[Generator], answer: bytes) -> None:
    """Before an answer, or in the middle of one."""

    def hang_up(connection: socket.socket, count: int) -> None:
        connection.sendall(ANSWER if count < 5 else answer)
        if count >= 5:
            connection.shutdown(socket.SHUT_RDWR)

    with server(hang_up) as port, pytest.raises(StoreUnavailable, match="hung up"):
        kind("127.0.0.1", port, [REQUEST], 1).open_loop(1.0, 100.0)


def test_an_answer_too_large_for_a_compiled_loop_is_no_figure() -> None:
    """It is said, not left out."""
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000
    with (
        server(lambda connection, count: connection.sendall(large if count else ANSWER)) as port,
        pytest.raises(StoreUnavailable, match="does not fit"),
    ):
        CompiledGenerator("127.0.0.1", port, [REQUEST], 1).open_loop(0.2, 100.0)


@open_loops
def test_an_answer_that_nobody_asked_for_ends_an_open_loop(kind: type[Generator]) -> None:
    """It would stand for another."""

    def answer(connection: socket.socket, count: int) -> None:
        connection.sendall(ANSWER)
        if count == 5:
            time.sleep(0.005)
            connection.sendall(ANSWER)

    with server(answer) as port, pytest.raises(StoreUnavailable):
        kind("127.0.0.1", port, [REQUEST], 1).open_loop(0.5, 20.0)
