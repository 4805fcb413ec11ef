"""The contest: everybody's capacity at the same work, by turns, each alone on the server's core."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import numpy as np

from tests.bench import anchors, peers
from tests.bench.cores import Missing, Running
from tests.bench.world import NO_MEMORY, WIDTH, EdgeUnderTest, World, targets
from tests.bench.wrk import Capacity, capacity, median
from tests.onnx_models import mlp

CONNECTIONS = 32
_SLICE = 1_000
_HOUR_MS = "3600000"
_SOON_MS = "5"


@dataclass(frozen=True, slots=True)
class _Entry:
    """Somebody who takes part, and what is asked of him."""

    name: str
    start: Callable[[], AbstractContextManager[Running]]
    paths: list[str]
    numbered: bool = False


@dataclass(slots=True)
class Contest:
    """Capacities by name and round, and why some are missing."""

    world: World
    seconds: float
    runs: int
    rounds: dict[str, list[Capacity]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    _names: list[str] = field(init=False)
    _bodies: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        # wrk walks through its targets in order; at random no cache of the processor helps anybody.
        self._names = list(self.world.hot)
        random.Random(0).shuffle(self._names)
        self._bodies = self.world.bodies()

    def run(self) -> None:
        """Everybody once in each round, so that what others do on the machine meets all alike.

        Neighbours in the table are measured right after one another. Processes of their own in each round: of two that
        are alike one may be faster by some percent, as its memory happens to lie.
        """
        # Varnish and nginx's worker give up root before they read.
        self.world.directory.chmod(0o755)
        self._fill()
        entries = self._entries()
        for number in range(1, self.runs + 1):
            for entry in entries:
                self._measure(entry)
            print(f"round {number} of {self.runs}", flush=True)
        for name, found in self.rounds.items():
            print(_line(name, median(found)), flush=True)

    def _entries(self) -> list[_Entry]:
        directory, redis = self.world.directory, self.world.pair.replica.port
        plain, ours = [f"/{name}" for name in self._names], targets(self._names)
        body = self._bodies[self._names[0]]
        return [
            _Entry("nginx return 200", lambda: anchors.nginx_return(directory, body), plain),
            _Entry("nearcast, memory", self._edge(), ours),
            _Entry("nginx + Lua, shared dict", lambda: anchors.nginx_shared_dictionary(directory, self._bodies), plain),
            _Entry("nearcast, memory, numbered", self._edge(), ours, numbered=True),
            _Entry("Varnish, hit", lambda: anchors.varnish(directory, self._bodies), plain),
            _Entry("nearcast, replica", self._edge(memory_max_bytes=NO_MEMORY), ours),
            _Entry("webdis", lambda: anchors.webdis(directory, redis), [f"/GET/body:{name}" for name in self._names]),
            _Entry("nginx + Lua to Redis", lambda: anchors.nginx_redis(directory, redis), plain),
            _Entry("nearcast, live", self._edge(), targets(self._names, "fleeting")),
            _Entry("tutorial, miss", self._tutorial(_SOON_MS), plain),
            _Entry("tutorial, hit", self._tutorial(_HOUR_MS), plain),
            _Entry("Starlette route", self._starlette(access_log=True), plain),
            _Entry("Starlette route, no log", self._starlette(access_log=False), plain),
            _Entry("nearcast, memory, lane off", self._edge(lane=False), ours),
        ]

    def found(self, name: str) -> Capacity | None:
        """The median of the rounds; None if it was not measured."""
        return median(self.rounds[name]) if name in self.rounds else None

    def per_s(self, name: str) -> float | None:
        """Requests per second; None if it was not measured."""
        found = self.found(name)
        return found.per_s if found else None

    def ratio(self, ours: str, other: str) -> float | None:
        """How many times as many requests per second, the median of the rounds: most of what slows the machine down for
        a while meets both in a round. None if one of them was not measured.
        """
        rounds = zip(self.rounds.get(ours, ()), self.rounds.get(other, ()), strict=False)
        return statistics.median(ratios) if (ratios := [mine.per_s / its.per_s for mine, its in rounds]) else None

    def _measure(self, entry: _Entry) -> None:
        if entry.name in self.missing:
            return
        try:
            with entry.start() as server:
                found = capacity(
                    self.world.directory,
                    server,
                    entry.paths,
                    connections=CONNECTIONS,
                    seconds=self.seconds,
                    runs=1,
                    numbered=entry.numbered,
                )
        except Missing as reason:
            self.missing[entry.name] = str(reason)
            print(f"skipped  {entry.name}: {reason}", flush=True)
        else:
            self.rounds.setdefault(entry.name, []).append(found)

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


def _line(name: str, it: Capacity) -> str:
    return f"{name:<30}{it.per_s:>10,.0f} /s   p99 {it.p99_ms:7.2f} ms   {it.cpu_us:6.1f} µs of processor each"


class _Running(AbstractContextManager[Running]):
    """An edge as nothing but a server."""

    def __init__(self, edge: AbstractContextManager[EdgeUnderTest]) -> None:
        self._edge = edge

    def __enter__(self) -> Running:
        return self._edge.__enter__().running

    def __exit__(self, *details: object) -> None:
        self._edge.__exit__(*details)  # type: ignore[arg-type]
