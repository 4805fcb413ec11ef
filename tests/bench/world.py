"""What is measured: one small model over one view, its rows and entries in a real primary and replica, and edges."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import numpy as np

from deploy.local.ports import free_port
from deploy.local.redis_pair import RedisPair
from precompute import manifest
from precompute.entry import decode, identity
from precompute.features import Features, Row
from precompute.keys import entry_key
from precompute.layouts import Layouts
from precompute.manifest import Project
from precompute.models import Key
from precompute.predictor import Predictor
from precompute.registry import Registry
from precompute.store import Store
from precompute.sweep import sweep
from tests.bench.cores import LOAD_CORE, SERVER_CORE, Running, server
from tests.onnx_models import mlp
from tests.waiting import wait_until

MANIFEST = """
[project]
name = "bench"
[views.user.fields]
x = "float32[32]"
[models.score]
key = ["user"]
inputs = { x = "user.x" }
policy = { ttl_s = 36000.0 }
# Computed anew each time, like a key that nobody has asked for before.
[models.fleeting]
key = ["user"]
inputs = { x = "user.x" }
policy = { ttl_s = 0.005, ttl_jitter = 0.0 }
"""
WIDTH = 32
_PUT_ROWS = 5_000
#: More than any value weighs half of: nothing is kept in memory.
NO_MEMORY = "1"


@dataclass(slots=True)
class World:
    """Servers and data; a context manager that ends them.

    Attributes:
        hot: keys with an entry each, spread over which requests are.
        shelf: more keys with entries, for requests that no edge has seen before.
        cold: keys with a row and no entry.
    """

    directory: Path
    pair: RedisPair
    project: Project
    store: Store
    hot: list[str]
    shelf: list[str]
    cold: list[str]
    _resources: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def make(cls, directory: Path, *, hot: int, shelf: int, cold: int) -> Self:
        """Starts a pair, stores rows, publishes both models and precomputes the entries."""
        (directory / "nearcast.toml").write_text(MANIFEST)
        project = manifest.load(directory / "nearcast.toml")
        with ExitStack() as resources:
            pair = resources.enter_context(RedisPair.start(None, persist=False))
            # The replica shares the server's core, as a sidecar would; what feeds it does not.
            os.sched_setaffinity(pair.replica.process.pid, {SERVER_CORE})
            os.sched_setaffinity(pair.primary.process.pid, {LOAD_CORE})
            store = Store(pair.primary_url, timeout_s=60)
            resources.callback(store.close)
            names = [f"user-{n:07d}-of-a-bench-here" for n in range(hot + shelf + cold)]
            it = cls(directory, pair, project, store, names[:hot], names[hot : hot + shelf], names[hot + shelf :])
            it._fill(names)
            it._resources = resources.pop_all()
            return it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def _fill(self, names: Sequence[str]) -> None:
        values = np.random.default_rng(0).normal(size=(_PUT_ROWS, WIDTH)).astype(np.float32)
        with Features(self.store, self.project).writing("user") as writer:
            for at in range(0, len(names), _PUT_ROWS):
                writer.put(Row(name, {"x": values[i]}, 1) for i, name in enumerate(names[at : at + _PUT_ROWS]))
        registry = Registry(self.store, self.project)
        for model in self.project.models:
            registry.publish(model, "default", mlp(), now_ms=1)
        keys = [self.key(name) for name in (*self.hot, *self.shelf)]
        result = sweep(self.store, self.predictor(), keys, lambda: int(time.time() * 1000))
        assert result.written == len(keys)
        self.replicate()

    def key(self, name: str) -> Key:
        """A key of model `score`."""
        return self.project.model("score").parse_key(name)

    def predictor(self) -> Predictor:
        """Of model `score`."""
        return Predictor(self.project, Registry(self.store, self.project).load("score", 1), Layouts(self.project))

    def replicate(self) -> None:
        """Waits until the replica has everything."""
        assert self.store.run([("SET", "bench:mark", "1"), ("WAIT", 1, 60_000)])[1] == 1

    def bodies(self) -> dict[str, str]:
        """The answers of the hot keys, for servers that only hand them out."""
        values = self.store.call("MGET", *(entry_key("score", 1, name) for name in self.hot))
        pairs = zip(self.hot, values, strict=True)
        return {name: decode(value, identity("score", 1, "default", name)).body.decode() for name, value in pairs}

    @contextmanager
    def primary_beside_server(self) -> Iterator[None]:
        """The primary on the server's core, for a service that reads and writes one Redis next to it."""
        process = self.pair.primary.process.pid
        os.sched_setaffinity(process, {SERVER_CORE})
        try:
            yield
        finally:
            os.sched_setaffinity(process, {LOAD_CORE})

    @contextmanager
    def edge(
        self, *, program: Sequence[str] = ("-m", "deploy.cli", "edge"), **settings: object
    ) -> Iterator[EdgeUnderTest]:
        """An edge on the server's core, from the moment it is ready; `program` is what Python is told to run."""
        port = free_port()
        given = {
            "project": self.directory / "nearcast.toml",
            "primary_url": self.pair.primary_url,
            "replica_url": self.pair.replica_url,
            "port": port,
            **settings,
        }
        environment = {f"NEARCAST_{name.upper()}": str(value) for name, value in given.items()}
        argv = [sys.executable, *program]
        began = time.monotonic()
        with server(argv, port, self.directory / f"edge-{port}.log", **environment) as running:
            edge = EdgeUnderTest(running)
            wait_until(edge.is_ready, 60.0, "the edge does not get ready")
            edge.ready_after_s = time.monotonic() - began
            yield edge

    def stored(self) -> int:
        """Values that the replica has stored since it started."""
        with closing(Store(self.pair.replica_url)) as replica:
            found = re.search(rb"cmdstat_set:calls=(\d+)", replica.call("INFO", "commandstats"))
        return int(found[1]) if found else 0


@dataclass(slots=True)
class EdgeUnderTest:
    """A running edge."""

    running: Running
    ready_after_s: float = 0.0

    def is_ready(self) -> bool:
        """Whether it says so."""
        try:
            return self.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def get(self, path: str) -> httpx.Response:
        """One GET on a connection of its own."""
        return httpx.get(f"http://127.0.0.1:{self.running.port}{path}", timeout=10.0)

    def metric(self, line: str) -> float:
        """A sample of `/metrics`, by its name and labels as they stand there; 0 if it is not there."""
        found = [text for text in self.get("/metrics").text.splitlines() if text.startswith(f"{line} ")]
        return float(found[0].split()[-1]) if found else 0.0

    def rss_bytes(self) -> int:
        """What it takes of memory."""
        pages = int(Path(f"/proc/{self.running.session}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def targets(names: Sequence[str], model: str = "score") -> list[str]:
    """Paths of GETs."""
    return [f"/v1/predict/{model}/{name}" for name in names]


def requests(paths: Sequence[str]) -> list[bytes]:
    """Whole requests."""
    return [f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() for path in paths]
