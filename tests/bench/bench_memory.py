"""How good the memory tier's choice of what to keep is: the real one beside LRU, FIFO and the optimum.

Generated streams of different shapes, room for 1 % and 10 % of the keys, all values of one size. The optimum is
Belady's: whoever is asked for last in the future goes first, or is not kept at all; nobody can do better.
`NEARCAST_BENCH_LOG=FILE` (lines of `seconds key`, in order of time) adds a log of your own.
"""

from __future__ import annotations

import heapq
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from edge.memory import OVERHEAD_BYTES, Memory
from tests.bench.streams import Shape, generate, read_log

pytestmark = pytest.mark.bench

SEED = 1
SHAPES = {
    "plain": Shape(),
    "flat": Shape(skew=0.6),
    "steep": Shape(skew=1.2),
    "churning": Shape(churn_every_s=100),
    "news": Shape(skew=1.1, churn_every_s=50),
    "half one-hit": Shape(one_hit=0.5),
    "mostly one-hit": Shape(one_hit=0.9),
    "bursty": Shape(bursts=8),
    "long tail": Shape(skew=0.4, keys=20_000),
    "all at once": Shape(skew=0.8, churn_every_s=150, one_hit=0.3, bursts=3),
}
ROOMS = (0.01, 0.1)
_BURSTY = ("bursty", "all at once")
#: What may be lost against LRU, in hits per request. Where eight requests for a key come at once and there is room for
#: a hundred keys, most are over before the key has been seen twice in the small queue; and then never come again.
_MARGIN = 0.06


@dataclass
class Value:
    """Something that weighs nothing."""

    size: int = 0
    hits: int = field(default=0)


def ours(requests: Sequence[str], room: int) -> float:
    """Hits per request of the memory tier."""
    memory: Memory[Value] = Memory(room * (OVERHEAD_BYTES + len(requests[0])))
    hits = 0
    for key in requests:
        if memory.get(key) is None:
            memory.put(key, Value())
        else:
            hits += 1
    return hits / len(requests)


def lru(requests: Sequence[str], room: int) -> float:
    """Hits per request when what was asked for longest ago goes first."""
    return _queue(requests, room, OrderedDict.move_to_end)


def fifo(requests: Sequence[str], room: int) -> float:
    """Hits per request when what came first goes first."""
    return _queue(requests, room, lambda kept, key: None)


def _queue(requests: Sequence[str], room: int, on_hit: Callable[[OrderedDict[str, None], str], None]) -> float:
    kept: OrderedDict[str, None] = OrderedDict()
    hits = 0
    for key in requests:
        if key in kept:
            hits += 1
            on_hit(kept, key)
            continue
        if len(kept) >= room:
            kept.popitem(last=False)
        kept[key] = None
    return hits / len(requests)


def optimum(requests: Sequence[str], room: int) -> float:
    """Hits per request of somebody who knows the future.

    Source: Belady, "A study of replacement algorithms for a virtual-storage computer", 1966; here with bypass.
    """
    never, next_at, seen = len(requests), [0] * len(requests), dict[str, int]()
    for at in range(len(requests) - 1, -1, -1):
        next_at[at] = seen.get(requests[at], never)
        seen[requests[at]] = at
    kept: dict[str, int] = {}
    latest: list[tuple[int, str]] = []
    hits = 0
    for at, key in enumerate(requests):
        hits += key in kept
        kept[key] = next_at[at]
        heapq.heappush(latest, (-next_at[at], key))
        while len(kept) > room:
            due, victim = heapq.heappop(latest)
            # What has been asked for since stands in the heap again, with another time.
            if kept.get(victim) == -due:
                del kept[victim]
    return hits / len(requests)


def _streams() -> Iterator[tuple[str, list[str]]]:
    for name, shape in SHAPES.items():
        yield name, _named(generate(shape, SEED).request_keys)
    plain = generate(Shape(), SEED).request_keys
    scan = np.arange(1_000_000, 1_000_000 + len(plain))
    # Every fifth request belongs to somebody who reads everything once.
    yield "scanned", _named(np.where(np.arange(len(plain)) % 5 == 0, scan, plain))
    yield "turned over", _named(np.concatenate((plain[: len(plain) // 2], plain[len(plain) // 2 :] + 2_000_000)))
    yield "loop", _named(np.arange(150_000) % 10_000)
    if path := os.environ.get("NEARCAST_BENCH_LOG"):
        yield Path(path).name, _named(read_log(Path(path), changes=0.0, groups=1).request_keys)


def _named(keys: np.typing.NDArray[np.int64]) -> list[str]:
    return [f"{key:08d}" for key in keys.tolist()]


def test_what_is_kept() -> None:
    """Hits per request; `closed` is the share of the way from LRU to the optimum."""
    better, rows = 0, 0
    print("\nstream            room |   FIFO    LRU   ours   optimum | closed")
    for name, requests in _streams():
        for share in ROOMS:
            room = max(10, int(len(set(requests)) * share))
            found = [policy(requests, room) for policy in (fifo, lru, ours, optimum)]
            _, least, own, most = found
            closed = (own - least) / (most - least) if most > least else 1.0
            print(f"{name:<17}{share:>5.0%} | " + "  ".join(f"{ratio:.3f}" for ratio in found) + f"   | {closed:>5.0%}")
            better += own >= least
            rows += 1
            assert name in _BURSTY or own >= least, f"{name}: {own:.3f} against {least:.3f}"
            assert own > least - _MARGIN, f"{name}: {own:.3f} against {least:.3f}"
    print(f"at least as good as LRU in {better} of {rows} rows")
