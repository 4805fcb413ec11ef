"""An edge that is told to stop, seen from right in front of it: no balancer repeats anything."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path

import pytest

from deploy.local.ports import free_port
from deploy.local.redis_pair import RedisPair
from tests.edge_node import edge_node
from tests.edge_project import EdgeProject
from tests.http_messages import Message, read_message
from tests.waiting import until

pytestmark = pytest.mark.faults

CALLERS = 24
STOPS = 3
GET = Message("GET /v1/predict/patient/F1 HTTP/1.1", {"host": "edge.test"}, b"")


@pytest.mark.parametrize("processes", [1, 2])
def test_whoever_could_connect_is_answered(own_redis_pair: RedisPair, tmp_path: Path, processes: int) -> None:
    """Connections made until the very end get their answer; the others are refused, so that nothing was sent.

    Some callers connect for each request, some keep their connections until they are told that this is the last answer.
    """
    project = EdgeProject.publish(tmp_path, own_redis_pair)
    project.put_flights(["F1"], [1.0])
    seen = Counter[str]()

    for _ in range(STOPS):
        asyncio.run(_stopped(project, processes, tmp_path / "log", seen))

    assert seen.keys() == {"answered", "last answer", "refused"}, seen
    assert seen["refused"] == STOPS * CALLERS


async def _stopped(project: EdgeProject, processes: int, log: Path, seen: Counter[str]) -> None:
    port = free_port()
    with edge_node(project.settings, log, port=port, processes=processes) as node:
        enough = seen["answered"] + 10 * CALLERS
        callers = [asyncio.create_task(_call(port, seen, keeps=n % 2 == 0)) for n in range(CALLERS)]
        await until(lambda: _true(seen["answered"] >= enough))
        node.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*callers)
        assert await asyncio.to_thread(node.process.wait, 30) == 0


async def _call(port: int, seen: Counter[str], *, keeps: bool) -> None:
    """Asks until no connection is taken any more."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            seen["refused"] += 1
            return
        try:
            while await _ask(reader, writer, seen) and keeps:
                pass
        finally:
            writer.close()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Counter[str]) -> bool:
    """One request; whether another may follow."""
    try:
        writer.write(GET.encoded())
        answer = await read_message(reader)
    except ConnectionError:
        answer = None
    if answer is None or answer.status != 200:
        seen["hung up on" if answer is None else answer.start] += 1
        return False
    seen["last answer" if answer.is_last else "answered"] += 1
    return not answer.is_last


async def _true(answer: bool) -> bool:
    return answer
