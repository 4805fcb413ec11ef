"""Changes rows at a constant rate until it is ended: `python -m tests.bench.updating PRIMARY_URL PROJECT ROWS_PER_S`.

Names of entities come in on standard input, one on each line.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import numpy as np

from precompute import manifest
from precompute.features import Features, Row
from precompute.store import Store

_BATCHES_PER_S = 10
_WIDTH = 32


def main(url: str, project: Path, per_s: int) -> None:
    """Batches at even intervals, of entities chosen at random."""
    names = sys.stdin.read().split()
    features = Features(Store(url, timeout_s=10), manifest.load(project))
    numbers, chosen = np.random.default_rng(0), random.Random(0)
    due_s = time.monotonic()
    while True:
        picked = chosen.sample(names, per_s // _BATCHES_PER_S)
        values = numbers.normal(size=(len(picked), _WIDTH)).astype(np.float32)
        now_ms = int(time.time() * 1000)
        features.put("user", [Row(name, {"x": values[i]}, now_ms) for i, name in enumerate(picked)])
        due_s += 1 / _BATCHES_PER_S
        time.sleep(max(0.0, due_s - time.monotonic()))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
