"""What workers have done, counted in Redis, so that the figures outlive the processes that made them."""

from __future__ import annotations

from precompute.keys import WORKER_TALLIES
from precompute.store import Store, checked


def add(store: Store, **counts: int) -> None:
    """Adds to counters such as `precomputed`, `refreshed`, `failed`, `retried`; zeros cost nothing."""
    commands = [("HINCRBY", WORKER_TALLIES, name, count) for name, count in counts.items() if count]
    for reply in store.run(commands) if commands else []:
        checked(reply)


def read(store: Store) -> dict[str, int]:
    """All counters."""
    flat = store.call("HGETALL", WORKER_TALLIES)
    return {name.decode(): int(count) for name, count in zip(flat[::2], flat[1::2], strict=True)}
