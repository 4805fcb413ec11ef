"""What one node needs: to start, to hold entries, and to compute for a crowd."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from precompute.entry import decode, identity
from precompute.keys import entry_key, hot_key
from tests.bench.figures import Figures, Row
from tests.bench.world import EdgeUnderTest, World

CALLERS = 100
_SLICE = 5_000


def cold_callers(world: World, figures: Figures) -> None:
    """A crowd asks for one key that nobody has computed."""
    name = world.cold[-1]
    with world.edge() as edge, ThreadPoolExecutor(CALLERS) as pool:
        connections = [socket.create_connection(("127.0.0.1", edge.running.port), timeout=10) for _ in range(CALLERS)]
        before = edge.metric("nearcast_live_rows_total")

        def ask(connection: socket.socket) -> bytes:
            connection.sendall(f"GET /v1/predict/score/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            return connection.recv(1 << 16)

        answers = list(pool.map(ask, connections))
        rows = edge.metric("nearcast_live_rows_total") - before
        assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
        for connection in connections:
            connection.close()
    figures.add(Row(work=f"{CALLERS} callers of one cold key", figure=rows, unit="model rows", at_most=1))


def warm_start(world: World, figures: Figures) -> None:
    """From the command to being ready, with the shelf as hot keys; and what they take of memory then."""
    with world.edge(warm_keys=1) as edge:
        empty = edge.rss_bytes()
    with warmed(world, world.shelf) as edge:
        count = _entries(edge)
        figures.add(Row(work=f"start to ready, {count:,} hot keys", figure=edge.ready_after_s, unit="s", at_most=5.0))
        each = (edge.rss_bytes() - empty) / count
    name = world.shelf[0]
    value = world.store.call("GET", entry_key("score", 1, name))
    body = decode(value, identity("score", 1, "default", name)).body
    note = f"{len(name)}-byte key, {len(body)}-byte body"
    figures.add(Row(work="memory of an entry", figure=each, unit="bytes", at_most=600, note=note))


@contextmanager
def warmed(world: World, hot: Sequence[str]) -> Iterator[EdgeUnderTest]:
    """An edge that begins with the entries of these keys in memory."""
    for at in range(0, len(hot), _SLICE):
        pairs = [text for n, name in enumerate(hot[at : at + _SLICE]) for text in (len(hot) - at - n, name)]
        world.store.call("ZADD", hot_key("score"), *pairs)
    world.replicate()
    try:
        with world.edge(warm_keys=len(hot), memory_max_bytes=1 << 30) as edge:
            yield edge
    finally:
        world.store.call("DEL", hot_key("score"))


def _entries(edge: EdgeUnderTest) -> int:
    return int(edge.metric("nearcast_memory_entries"))
