"""Stores entries at a constant rate until it is ended: `python -m tests.bench.rewrite PRIMARY_URL KEYS_PER_S`."""

from __future__ import annotations

import sys
import time

from precompute.store import Store
from precompute.updates import Command

_BATCH = 500
#: How far behind it may fall and still catch up.
_LATE_S = 0.1
_KEYS = 100_000
_BODY = b"x" * 200


def main(url: str, per_s: int) -> None:
    """Batches at even intervals; one that is late is sent at once, but a pause is not made up for by going faster."""
    store, at, due_s = Store(url, timeout_s=10), 0, time.monotonic()
    while True:
        commands: list[Command] = [
            ("SET", f"p:rewritten:1:user-{(at + i) % _KEYS:07d}", _BODY, "EX", 3600) for i in range(_BATCH)
        ]
        store.run(commands)
        at += _BATCH
        now_s = time.monotonic()
        due_s = max(due_s, now_s - _LATE_S) + _BATCH / per_s
        time.sleep(max(0.0, due_s - now_s))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
