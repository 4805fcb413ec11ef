"""Edges behind a balancer are restarted one after the other while everybody goes on asking: nobody notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path

import numpy as np
import pytest

from deploy.local.ports import free_port
from deploy.local.redis_pair import RedisPair
from precompute.settings import Settings
from tests import nginx
from tests.balancer import balancer
from tests.edge_project import EdgeProject, direct, graph
from tests.http_messages import Message, read_message
from tests.roles import Role, role
from tests.waiting import until

pytestmark = pytest.mark.faults

CALLERS = 12
FLIGHTS = [f"F{i}" for i in range(40)]
DISTANCES = [i / 10 for i in range(40)]
RESTARTS = 2

Front = Callable[[Path, Sequence[int]], AbstractAsyncContextManager[int]]


@contextlib.asynccontextmanager
async def behind_ours(directory: Path, ports: Sequence[int]) -> AsyncIterator[int]:
    """The port of a balancer that looks who is ready and repeats next to nothing."""
    async with balancer(ports) as it:
        yield it.port


@contextlib.asynccontextmanager
async def behind_nginx(directory: Path, ports: Sequence[int]) -> AsyncIterator[int]:
    """The port of nginx with the configuration that we ship; it never asks who is ready."""
    port = free_port()
    with nginx.nginx(directory, port, ports):
        yield port


#: A balancer that is not installed is no test that was skipped: ours stands in for all of them.
FRONTS: dict[str, Front] = {"ours": behind_ours} | ({"nginx": behind_nginx} if nginx.program() else {})


class Node:
    """An edge on a port of its own, which can be restarted."""

    def __init__(self, settings: Settings) -> None:
        self.port = free_port()
        self._settings = settings.model_copy(update={"port": self.port})
        self._processes = ExitStack()
        self._role: Role

    def start(self) -> None:
        """From the moment it is ready."""
        self._role = self._processes.enter_context(role("edge", self._settings))

    def stop(self) -> None:
        """As a service manager would; it must end by itself and have nothing to complain about."""
        self._role.process.send_signal(signal.SIGTERM)
        status, said = self._role.process.wait(30), self._role.said
        self._processes.close()
        assert status == 0, said
        assert "Traceback" not in said, said

    def kill(self) -> None:
        """At once."""
        self._processes.close()


class Caller:
    """One client on a connection that it keeps, until it is told to stop."""

    def __init__(self, port: int, seed: int, seen: Counter[str], wrong: list[str]) -> None:
        self._port, self._random = port, random.Random(seed)
        self._seen, self._wrong = seen, wrong
        values = direct(graph("patient"), np.array([[d, 0.5] for d in DISTANCES], np.float32))
        self._truth = dict(zip(FLIGHTS, values, strict=True))

    async def run(self, stopping: asyncio.Event) -> None:
        """One request after the other. A connection is only opened again when the balancer said that it ends."""
        while not stopping.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            is_last = False
            while not stopping.is_set() and not is_last:
                kind, request = self._request()
                writer.write(request.encoded())
                answer = await read_message(reader)
                self._judge(kind, request, answer)
                is_last = answer is None or answer.is_last
            writer.close()

    def _request(self) -> tuple[str, Message]:
        headers = {"host": "edges.test"}
        if self._random.random() < 0.3:
            body = json.dumps({"keys": self._random.sample(FLIGHTS, 5)}).encode()
            headers["content-length"] = str(len(body))
            return "POST", Message("POST /v1/predict/patient HTTP/1.1", headers, body)
        kind = "live" if self._random.random() < 0.3 else "GET"
        if kind == "live":
            headers["cache-control"] = "no-cache"
        return kind, Message(f"GET /v1/predict/patient/{self._random.choice(FLIGHTS)} HTTP/1.1", headers, b"")

    def _judge(self, kind: str, request: Message, answer: Message | None) -> None:
        self._seen[kind] += 1
        if answer is None or answer.status != 200:
            self._wrong.append(f"{request.start}: {answer.start if answer else 'hung up'}")
            return
        body = json.loads(answer.body)
        if kind != "POST":
            self._check(request.start.split()[1].rpartition("/")[2], body)
            return
        for key, one in zip(json.loads(request.body)["keys"], body["predictions"], strict=True):
            self._check(key, one.get("prediction", one))

    def _check(self, key: str, body: dict[str, object]) -> None:
        outputs = body.get("outputs")
        if body.get("key") != key or not isinstance(outputs, dict) or np.float32(outputs["y"]) != self._truth[key]:
            self._wrong.append(f"{key}: {body}")


@pytest.mark.parametrize("front", FRONTS.values(), ids=FRONTS.keys())
def test_a_restart_loses_no_request(front: Front, own_redis_pair: RedisPair, tmp_path: Path) -> None:
    """Each of two edges ends and comes back twice under constant load: no error, no wrong answer, no hung-up client."""
    project = EdgeProject.publish(tmp_path, own_redis_pair)
    project.put_flights(FLIGHTS, DISTANCES)
    nodes = [Node(project.settings), Node(project.settings)]
    seen, wrong = Counter[str](), list[str]()

    try:
        asyncio.run(_restart_each(front, tmp_path, nodes, seen, wrong))
    finally:
        for node in nodes:
            node.kill()

    assert wrong == []
    assert min(seen[kind] for kind in ("GET", "POST", "live")) > 100, seen


async def _restart_each(
    front: Front, directory: Path, nodes: Sequence[Node], seen: Counter[str], wrong: list[str]
) -> None:
    for node in nodes:
        await asyncio.to_thread(node.start)
    async with front(directory, [node.port for node in nodes]) as port:
        stopping = asyncio.Event()
        callers = [asyncio.create_task(Caller(port, n, seen, wrong).run(stopping)) for n in range(CALLERS)]
        try:
            for node in [*nodes] * RESTARTS:
                await _more(seen)
                await asyncio.to_thread(node.stop)
                await _more(seen)
                await asyncio.to_thread(node.start)
            await _more(seen)
        finally:
            stopping.set()
            await asyncio.gather(*callers)


async def _more(seen: Counter[str]) -> None:
    """Waits for some more answers: so many that all callers and both edges have their share of them."""
    enough = seen.total() + 20 * CALLERS

    async def is_enough() -> bool:
        return seen.total() >= enough

    await until(is_enough, 30.0, "nobody is answered any more")
