"""How fast keys become entries in Redis, and how much memory rows and entries take.

One worker process and one Redis without a replica, each free to use a core: `make bench`.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from deploy.local.ports import free_port
from deploy.local.redis_binary import find_redis_binary
from precompute.entry import header, identity
from precompute.features import Features, Row
from precompute.keys import log_key
from precompute.layouts import Layouts
from precompute.manifest import parse
from precompute.models import Key
from precompute.predictions import Writer, write_commands
from precompute.predictor import Batch, Predictor
from precompute.registry import Registry
from precompute.store import Store
from precompute.sweep import sweep
from precompute.updates import AsOf
from tests.onnx_models import mlp
from tests.waiting import wait_until

pytestmark = pytest.mark.bench

PROJECT = parse("""
[project]
name = "bench"
[views.user.fields]
x = "float32[32]"
[models.score]
key = ["user"]
inputs = { x = "user.x" }
""")
MODEL = PROJECT.model("score")
PUT_ROWS = 5_000
SWEPT_KEYS = 200_000
STORED = 1_000_000
#: Of a shared machine the best of a few runs says most about the code.
RUNS = 5


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty server of our own."""
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen([find_redis_binary().path, *options], stdout=subprocess.DEVNULL)
    try:
        opened = Store(f"redis://127.0.0.1:{port}/0", timeout_s=60)
        wait_until(lambda: _answers(opened))
        yield opened
        opened.close()
    finally:
        server.terminate()
        server.wait()


def _answers(store: Store) -> bool:
    try:
        return store.call("PING") == b"PONG"
    except Exception:  # It has not begun to listen.
        return False


def _used_bytes(store: Store) -> int:
    text: bytes = store.call("INFO", "memory")
    return int(next(line for line in text.splitlines() if line.startswith(b"used_memory:")).split(b":")[1])


def _put(store: Store, count: int) -> float:
    """Stores rows of 32 floats; returns rows per second."""
    values = np.random.default_rng(0).normal(size=(PUT_ROWS, 32)).astype(np.float32)
    features = Features(store, PROJECT)
    began = time.perf_counter()
    with features.writing("user") as writer:
        for at in range(0, count, PUT_ROWS):
            writer.put(Row(f"u{at + i}", {"x": row}, 1) for i, row in enumerate(values[: count - at]))
    assert writer.result.written == count
    return count / (time.perf_counter() - began)


def _best(run: Callable[[], int]) -> float:
    """The best rate of a few runs, in items per second."""
    rates = []
    for _ in range(RUNS):
        began = time.perf_counter()
        rates.append(run() / (time.perf_counter() - began))
    return max(rates)


def test_rows_to_entries(store: Store) -> None:
    """Keys per second for an MLP 32-128-64-1 over one view of 32 float32, read, computed and stored."""
    put_rate = _put(store, SWEPT_KEYS)
    registry = Registry(store, PROJECT)
    version = registry.publish("score", "default", mlp(), now_ms=1)
    predictor = Predictor(PROJECT, registry.load("score", version.version), Layouts(PROJECT))
    keys = [MODEL.parse_key(f"u{i}") for i in range(SWEPT_KEYS)]

    rate = _best(lambda: sweep(store, predictor, keys, lambda: int(time.time() * 1000)).written)

    parse_rate = _best(lambda: len([MODEL.parse_key(f"u{i}") for i in range(SWEPT_KEYS)]))
    print(f"\nrows stored and logged   {put_rate:>10,.0f} /s")
    print(f"keys parsed              {parse_rate:>10,.0f} /s")
    print(f"keys computed and stored {rate:>10,.0f} /s   (target 100,000)")


def test_memory_of_rows(store: Store) -> None:
    """A million rows of 32 floats take less than 260 MB, their log aside."""
    before = _used_bytes(store)

    _put(store, STORED)

    with_log = _used_bytes(store) - before
    store.call("DEL", log_key("user"))
    rows = _used_bytes(store) - before
    print(f"\n1,000,000 rows   {rows / 1e6:.0f} MB (limit 260), and {(with_log - rows) / 1e6:.0f} MB of log")
    assert rows < 260e6


def test_memory_of_entries(store: Store) -> None:
    """A million entries with bodies of 150 bytes take less than 330 MB."""
    registry = Registry(store, PROJECT)
    servable = registry.load("score", registry.publish("score", "default", mlp(), now_ms=1).version)
    as_of, before = AsOf(1, (1 << 60, 1 << 60)), _used_bytes(store)
    with store.lease() as link:
        writer = Writer(link)
        for at in range(0, STORED, 1000):
            keys = [Key(f"user{i:012}", ()) for i in range(at, at + 1000)]
            bodies = [identity("score", 1, "default", key.text).ljust(149) + b"}" for key in keys]
            writer.write(write_commands(servable, Batch(keys, list(bodies), as_of, 1, header(as_of, 1))))
        writer.settle()

    used = _used_bytes(store) - before
    print(f"\n1,000,000 entries   {used / 1e6:.0f} MB (limit 330)")
    assert writer.written == STORED
    assert used < 330e6
