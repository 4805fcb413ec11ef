"""Request streams that a law of popularity does not describe: soon again or never, bursts, rise and fall, loops, scans.

Each is a list of key numbers, the same for the same seed.
"""

from __future__ import annotations

import numpy as np

from tests.bench.streams import Ints, Shape, generate

REQUESTS = 150_000


def plain(**shape: float) -> Ints:
    """Zipf's law, and what else a shape can say."""
    return generate(Shape(requests=REQUESTS, **shape), 1).request_keys  # type: ignore[arg-type]


def soon_again(seed: int, *, new: float, tail: float) -> Ints:
    """Whoever was asked for lately is asked for again, the likelier the later it was: what LRU is best for.

    Args:
        new: share of requests for keys never seen before.
        tail: exponent of how many other keys were asked for in between; a small one reaches far back.
    """
    rng = np.random.default_rng(seed)
    is_new = rng.random(REQUESTS) < new
    depths = (rng.pareto(tail, REQUESTS) * 3).clip(0, 20_000).astype(np.int64)
    latest: list[int] = []
    found = np.empty(REQUESTS, np.int64)
    names = iter(range(REQUESTS))
    for at in range(REQUESTS):
        depth = int(depths[at])
        key = next(names) if is_new[at] or depth >= len(latest) else latest.pop(-1 - depth)
        latest.append(key)
        found[at] = key
    return found


def bursts(seed: int, *, mean: float, spread: int, one_hit: float = 0.1) -> Ints:
    """Several requests for a key lie within `spread` requests of others; then none for long."""
    rng = np.random.default_rng(seed)
    keys = plain()
    starts = np.flatnonzero(rng.random(len(keys)) < 1 / mean)
    starts[:1] = 0
    keys = np.repeat(keys[starts], np.diff(np.append(starts, len(keys))))
    keys = keys[np.argsort(np.arange(len(keys)) + rng.uniform(0, spread, len(keys)), kind="stable")]
    single = rng.random(len(keys)) < one_hit
    keys[single] = 1_000_000 + np.arange(int(single.sum()))
    return keys


def rise_and_fall(seed: int, *, keys: int, life: float, skew: float) -> Ints:
    """Keys appear at some time and are forgotten after about `life` requests, as news and flights are."""
    rng = np.random.default_rng(seed)
    weights = rng.permutation(np.arange(1, keys + 1) ** -skew)
    counts = rng.poisson(weights / weights.sum() * REQUESTS * 1.3)
    born = rng.uniform(-2 * life, REQUESTS, keys)
    key = np.repeat(np.arange(keys), counts)
    times = born[key] + rng.exponential(life, len(key))
    inside = (times >= 0) & (times < REQUESTS)
    return key[inside][np.argsort(times[inside])]


def twice(apart: int) -> Ints:
    """Every key is asked for twice, with so many others in between, and then never again."""
    at = np.arange(REQUESTS)
    return at // 2 + at % 2 * apart


def loop(length: int) -> Ints:
    """Everything in turn, over and over."""
    return np.arange(REQUESTS) % length


def beside_loop(length: int) -> Ints:
    """Every other request belongs to somebody who goes through the same keys over and over."""
    at = np.arange(REQUESTS)
    return np.where(at % 2 == 0, 2_000_000 + at // 2 % length, plain())


def scanned(*, every: int = 1, of: int = 5) -> Ints:
    """Of so many parts of `every` requests, one belongs to somebody who reads everything once."""
    at = np.arange(REQUESTS)
    return np.where(at // every % of == 0, 3_000_000 + at, plain())


def turned_over(*, every: int) -> Ints:
    """All keys give way to others, and those to the first again, and so on."""
    at = np.arange(REQUESTS)
    return np.where(at // every % 2 == 0, plain(), 4_000_000 + plain())
