"""The contest: everybody's capacity at the same work, one after the other, each alone on the server's core."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import numpy as np

from tests.bench import anchors, peers
from tests.bench.cores import Missing, Running
from tests.bench.world import NO_MEMORY, WIDTH, EdgeUnderTest, World, targets
from tests.bench.wrk import Capacity, capacity
from tests.onnx_models import mlp

CONNECTIONS = 32
_SLICE = 1_000
_HOUR_MS = "3600000"
_SOON_MS = "5"


@dataclass(slots=True)
class Contest:
    """Capacities by name, and why some are missing."""

    world: World
    seconds: float
    runs: int
    found: dict[str, Capacity] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    _names: list[str] = field(init=False)
    _bodies: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        # wrk walks through its targets in order; at random no cache of the processor helps anybody.
        self._names = list(self.world.hot)
        random.Random(0).shuffle(self._names)
        self._bodies = self.world.bodies()

    def run(self) -> None:
        """Everybody. Neighbours in the table are measured right after one another."""
        directory, redis = self.world.directory, self.world.pair.replica.port
        # Varnish and nginx's worker give up root before they read.
        directory.chmod(0o755)
        self._fill()
        plain = [f"/{name}" for name in self._names]
        body = self._bodies[self._names[0]]
        self._measure("nginx return 200", lambda: anchors.nginx_return(directory, body), plain)
        self._measure("nearcast, memory", self._edge(), targets(self._names))
        self._measure("nearcast, memory, numbered", self._edge(), targets(self._names), numbered=True)
        self._measure(
            "nginx + Lua, shared dict", lambda: anchors.nginx_shared_dictionary(directory, self._bodies), plain
        )
        self._measure("Varnish, hit", lambda: anchors.varnish(directory, self._bodies), plain)
        self._measure("nearcast, replica", self._edge(memory_max_bytes=NO_MEMORY), targets(self._names))
        webdis_targets = [f"/GET/body:{name}" for name in self._names]
        self._measure("webdis", lambda: anchors.webdis(directory, redis), webdis_targets)
        self._measure("nginx + Lua to Redis", lambda: anchors.nginx_redis(directory, redis), plain)
        self._measure("nearcast, live", self._edge(), targets(self._names, "fleeting"))
        self._measure("tutorial, miss", self._tutorial(_SOON_MS), plain)
        self._measure("tutorial, hit", self._tutorial(_HOUR_MS), plain)
        self._measure("Starlette route", self._starlette(access_log=True), plain)
        self._measure("Starlette route, no log", self._starlette(access_log=False), plain)
        self._measure("nearcast, memory, lane off", self._edge(lane=False), targets(self._names))

    def per_s(self, name: str) -> float | None:
        """Requests per second; None if it was not measured."""
        return self.found[name].per_s if name in self.found else None

    def _measure(
        self,
        name: str,
        start: Callable[[], AbstractContextManager[Running]],
        paths: list[str],
        *,
        numbered: bool = False,
    ) -> None:
        try:
            with start() as server:
                self.found[name] = capacity(
                    self.world.directory,
                    server,
                    paths,
                    connections=CONNECTIONS,
                    seconds=self.seconds,
                    runs=self.runs,
                    numbered=numbered,
                )
        except Missing as reason:
            self.missing[name] = str(reason)
            print(f"skipped  {name}: {reason}", flush=True)
            return
        it = self.found[name]
        print(
            f"{name:<30}{it.per_s:>10,.0f} /s   p99 {it.p99_ms:7.2f} ms   {it.cpu_us:6.1f} µs of processor each",
            flush=True,
        )

    def _edge(self, **settings: object) -> Callable[[], AbstractContextManager[Running]]:
        return lambda: _Running(self.world.edge(**settings))

    def _tutorial(self, ttl_ms: str) -> Callable[[], AbstractContextManager[Running]]:
        directory = self.world.directory
        environment = {peers.REDIS: self.world.pair.primary_url, peers.MODEL: str(directory / "model.onnx")}

        @contextmanager
        def start() -> Iterator[Running]:
            with (
                self.world.primary_beside_server(),
                peers.peer(directory, "tutorial", **environment, **{peers.TTL_MS: ttl_ms}) as it,
            ):
                yield it

        return start

    def _starlette(self, *, access_log: bool) -> Callable[[], AbstractContextManager[Running]]:
        path = self.world.directory / "bodies.json"
        return lambda: peers.peer(self.world.directory, "plain", access_log=access_log, **{peers.BODIES: str(path)})

    def _fill(self) -> None:
        """What the others answer from."""
        directory, store = self.world.directory, self.world.store
        (directory / "model.onnx").write_bytes(mlp())
        (directory / "bodies.json").write_text(json.dumps(self._bodies))
        values = np.random.default_rng(0).normal(size=(len(self._names), WIDTH)).astype(np.float32).tolist()
        for at in range(0, len(self._names), _SLICE):
            part = self._names[at : at + _SLICE]
            store.run([("SET", f"body:{name}", self._bodies[name]) for name in part])
            store.run(
                [
                    ("HSET", f"features:{name}", *(x for i, v in enumerate(values[at + n]) for x in (f"f{i}", v)))
                    for n, name in enumerate(part)
                ]
            )
        self.world.replicate()


class _Running(AbstractContextManager[Running]):
    """An edge as nothing but a server."""

    def __init__(self, edge: AbstractContextManager[EdgeUnderTest]) -> None:
        self._edge = edge

    def __enter__(self) -> Running:
        return self._edge.__enter__().running

    def __exit__(self, *details: object) -> None:
        self._edge.__exit__(*details)  # type: ignore[arg-type]
