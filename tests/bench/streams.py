"""Request streams with feature changes: a seeded generator, and a reader of logs that somebody has kept.

A stream is two sorted lists, requests and changes, and says which entities a key depends on: one of its own, and one
that it shares with its group, as flights share an airport's weather.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a generated stream looks.

    Attributes:
        skew: exponent of Zipf's law of popularity.
        churn_every_s: how often a tenth of the popular keys is replaced; 0 for never.
        one_hit: share of requests for keys that nobody asks for again.
        changes: changes per request.
        own: share of changes that concern one key only; the others concern a group.
        groups: how many groups there are.
        change_skew: exponent of Zipf's law of which entities change.
        sorted_groups: groups of equally popular keys, instead of a mixture.
        swing: of the request rate over a day of 1,000 s, from 0 to 1.
        bursts: mean number of requests that come together for one key.
    """

    skew: float = 0.9
    keys: int = 10_000
    requests: int = 150_000
    requests_per_s: float = 100.0
    churn_every_s: float = 0.0
    one_hit: float = 0.0
    changes: float = 0.01
    own: float = 0.2
    groups: int = 50
    change_skew: float = 0.0
    sorted_groups: bool = False
    swing: float = 0.0
    bursts: float = 1.0


@dataclass(frozen=True, slots=True)
class Stream:
    """What happens, in order of time.

    Attributes:
        request_s, request_keys: `[R]` when which key is asked for.
        change_s, change_entities: `[C]` when which entity changes; groups stand behind the keys.
        group_of: `[keys]` the group entity of each key; keys are `0...keys`.
    """

    request_s: Floats
    request_keys: Ints
    change_s: Floats
    change_entities: Ints
    group_of: Ints

    @property
    def keys(self) -> int:
        """How many keys there are, one-hit keys included."""
        return len(self.group_of)


def generate(shape: Shape, seed: int) -> Stream:
    """The stream of a shape; the same for the same seed."""
    rng = np.random.default_rng(seed)
    request_s = _times(shape, rng)
    keys = _popular(shape, request_s, rng)
    single = rng.random(len(keys)) < shape.one_hit
    keys[single] = shape.keys + np.arange(int(single.sum()))
    group_of = _groups(shape, shape.keys + int(single.sum()), rng)
    change_s, entities = _changes(shape, float(request_s[-1]), group_of, rng)
    return Stream(request_s, keys, change_s, entities, group_of)


def read_log(path: Path, *, changes: float, groups: int, requests_per_s: float = 100.0, seed: int = 0) -> Stream:
    """A kept log, `seconds key` a line, in order of time; changes are invented, its clock is sped up or slowed down.

    Args:
        changes: group changes per request.
    """
    rows = [line.split()[:2] for line in path.read_text().splitlines() if line.strip()]
    numbers: dict[str, int] = {}
    keys = np.array([numbers.setdefault(key, len(numbers)) for _, key in rows])
    times = np.array([float(time) for time, _ in rows])
    elapsed = times - times[0]
    request_s = elapsed * (len(keys) / requests_per_s / max(1e-9, elapsed[-1]))
    shape = Shape(keys=len(numbers), requests=len(keys), changes=changes, own=0.0, groups=groups)
    rng = np.random.default_rng(seed)
    group_of = _groups(shape, len(numbers), rng)
    return Stream(request_s, keys, *_changes(shape, float(request_s[-1]), group_of, rng), group_of)


def _times(shape: Shape, rng: np.random.Generator) -> Floats:
    even = np.cumsum(rng.exponential(1 / shape.requests_per_s, shape.requests))
    if not shape.swing:
        return even
    # Time runs slower where the rate is higher.
    grid = np.linspace(0.0, even[-1], 10_000)
    work = grid - shape.swing * 1000.0 / math.tau * np.sin(math.tau * grid / 1000.0)
    return np.interp(even, work, grid)


def _popular(shape: Shape, request_s: Floats, rng: np.random.Generator) -> Ints:
    ranks = _zipf(shape.skew, shape.keys, len(request_s), rng)
    if shape.bursts > 1.0:
        starts = np.flatnonzero(rng.random(len(ranks)) < 1 / shape.bursts)
        starts[:1] = 0
        # Requests of one burst are spread over those of the bursts around it.
        ranks = np.repeat(ranks[starts], np.diff(np.append(starts, len(ranks))))
        order = np.argsort(np.arange(len(ranks)) + rng.uniform(0, 500, len(ranks)), kind="stable")
        ranks = ranks[order]
    names = np.arange(shape.keys)
    if not shape.churn_every_s:
        return names[ranks]
    keys = np.empty_like(ranks)
    epochs = (request_s / shape.churn_every_s).astype(np.int64)
    for epoch in range(int(epochs[-1]) + 1):
        keys[epochs == epoch] = names[ranks[epochs == epoch]]
        out = np.flatnonzero(rng.random(shape.keys // 10) < 0.1)
        new = rng.integers(shape.keys // 10, shape.keys, len(out))
        names[out], names[new] = names[new], names[out].copy()
    return keys


def _groups(shape: Shape, keys: int, rng: np.random.Generator) -> Ints:
    if shape.sorted_groups:
        return keys + np.arange(keys) * shape.groups // keys
    return keys + rng.integers(0, shape.groups, keys)


def _changes(shape: Shape, until_s: float, group_of: Ints, rng: np.random.Generator) -> tuple[Floats, Ints]:
    count = int(shape.requests * shape.changes)
    change_s = np.sort(rng.uniform(0, until_s, count))
    own = rng.random(count) < shape.own
    groups = len(group_of) + rng.permutation(shape.groups)[_zipf(shape.change_skew, shape.groups, count, rng)]
    keys = rng.permutation(shape.keys)[_zipf(shape.change_skew, shape.keys, count, rng)]
    return change_s, np.where(own, keys, groups)


def _zipf(exponent: float, size: int, count: int, rng: np.random.Generator) -> Ints:
    weights = np.arange(1, size + 1) ** -exponent
    return np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random(count)).clip(0, size - 1)
