"""Changes rows at a constant rate until it is ended: `python -m tests.bench.updating PRIMARY_URL PROJECT ROWS_PER_S`.

Names of entities come in on standard input, one on each line. First each of them changes once, as fast as it goes: what
is remembered of changes is then as large as it gets.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from precompute import manifest
from precompute.features import Features, Row
from precompute.store import Store

_BATCHES_PER_S = 10
_BATCH = 100
_WIDTH = 32


def main(url: str, project: Path, per_s: int) -> None:
    """Batches at even intervals, of entities chosen at random."""
    names = sys.stdin.read().split()
    features = Features(Store(url, timeout_s=10), manifest.load(project))
    numbers, chosen = np.random.default_rng(0), random.Random(0)
    for at in range(0, len(names), _BATCH):
        _change(features, names[at : at + _BATCH], numbers)
    due_s = time.monotonic()
    while True:
        _change(features, chosen.sample(names, per_s // _BATCHES_PER_S), numbers)
        due_s += 1 / _BATCHES_PER_S
        time.sleep(max(0.0, due_s - time.monotonic()))


def _change(features: Features, names: Sequence[str], numbers: np.random.Generator) -> None:
    values = numbers.normal(size=(len(names), _WIDTH)).astype(np.float32)
    now_ms = int(time.time() * 1000)
    features.put("user", [Row(name, {"x": values[i]}, now_ms) for i, name in enumerate(names)])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
