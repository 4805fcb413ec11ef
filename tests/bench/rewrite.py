"""Stores entries at a constant rate until it is ended: `python -m tests.bench.rewrite PRIMARY_URL KEYS_PER_S`.

Each is stored once before the clock starts, and `ready` printed then: tables that grow are a matter of a first day.
What a job computes is not what is measured beside it, and would only keep the load generator from the core that both
share: so everything that is sent is made before the first of it is.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import hiredis

_BATCH = 500
#: How far behind it may fall and still catch up.
_LATE_S = 0.1
_KEYS = 100_000
_BODY = b"x" * 200
_STORED = b"+OK\r\n"


def main(url: str, per_s: int) -> None:
    """Batches at even intervals; one that is late is sent at once, but a pause is not made up for by going faster."""
    batches = list(_batches())
    server = urlsplit(url)
    with socket.create_connection((server.hostname, server.port), timeout=10.0) as connection:
        for batch in batches:
            connection.sendall(batch)
            _settle(connection)
        print("ready", flush=True)
        number, due_s = 0, time.monotonic()
        while True:
            connection.sendall(batches[number % len(batches)])
            _settle(connection)
            number += 1
            now_s = time.monotonic()
            due_s = max(due_s, now_s - _LATE_S) + _BATCH / per_s
            time.sleep(max(0.0, due_s - now_s))


def _batches() -> Iterator[bytes]:
    for at in range(0, _KEYS, _BATCH):
        names = [f"p:rewritten:1:user-{number:07d}" for number in range(at, at + _BATCH)]
        yield b"".join([hiredis.pack_command(("SET", name, _BODY, "EX", 3600)) for name in names])


def _settle(connection: socket.socket) -> None:
    wanted = len(_STORED) * _BATCH
    said = b""
    while len(said) < wanted:
        received = connection.recv(wanted - len(said))
        if not received:
            raise SystemExit("the primary hung up")
        said += received
    if said.count(_STORED) < _BATCH:
        raise SystemExit(f"the primary says {said[:200]!r}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
