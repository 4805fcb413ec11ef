"""Under load the dashboard, every process's `/metrics` and whoever sends the load agree, to the request.

And when an edge or a Redis is killed meanwhile, what the dashboard does not know is a gap.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.bench.generator import Generator
from deploy.local.redis_pair import RedisPair
from precompute.series import TIERS
from tests.edge_node import Node, edge_node
from tests.edge_project import EdgeProject
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

REQUESTS = "nearcast_requests_total"
FLIGHTS = [f"F{n}" for n in range(50)]
_FLUSHED_WITHIN_S = 40.0


def targets() -> list[str]:
    """A mix: hits, misses, missing rows, keys that are none, models that do not exist or cannot answer."""
    answered = [f"/v1/predict/late/{flight}:EWR" for flight in FLIGHTS] * 4
    patient = [f"/v1/predict/patient/{flight}" for flight in FLIGHTS]
    refused = ["/v1/predict/late/F999:EWR", "/v1/predict/late/odd", "/v1/predict/nobody/x", "/v1/predict/unborn/EWR"]
    return [*answered, *patient, *refused * 3, "/v1/predict/late/F1:EWR?variant=fast", "/v1/predict/guess/XXX"]


def publish(directory: Path, pair: RedisPair) -> EdgeProject:
    """Fifty flights and one airport."""
    project = EdgeProject.publish(directory, pair)
    project.put_flights(FLIGHTS, [float(n) for n in range(len(FLIGHTS))])
    project.put_weather({"EWR": 3.0})
    return project


@contextmanager
def two_nodes(project: EdgeProject, directory: Path) -> Iterator[list[Node]]:
    """Two nodes of two processes each."""
    with ExitStack() as nodes:
        yield [nodes.enter_context(edge_node(project.settings, directory / f"log-{n}")) for n in range(2)]


def send(node: Node, seconds: float) -> int:
    """Load on a node; how many requests it has answered, whatever the answers were."""
    url = httpx.URL(node.url)
    requests = [f"GET {target} HTTP/1.1\r\nHost: edge\r\n\r\n".encode() for target in targets()]
    outcome = Generator(url.host, url.port or 80, requests, connections=8).closed_loop(seconds)
    assert outcome.unanswered == 0
    return outcome.opened + outcome.statuses.total()


def document(node: Node, of: str = "") -> dict[str, Any]:
    """What the dashboard of a node tells, of one node or of all."""
    found: dict[str, Any] = httpx.get(f"{node.url}/dashboard/data?range_s=300&node={of}", timeout=10.0).json()
    return found


def in_threads(actions: Sequence[Callable[[], int]]) -> list[int]:
    """What some actions come to that go on at the same time."""
    results = [0] * len(actions)

    def run(at: int) -> None:
        results[at] = actions[at]()

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def told(series: dict[str, Any], at: int) -> list[float | None]:
    """All rates of one step."""
    return [*(series["requests_per_s"][tier][at] for tier in TIERS), series["errors_per_s"][at]]


def test_everybody_counts_the_same(clean_redis: RedisPair, tmp_path: Path) -> None:
    """Two nodes of two processes: per node and for the fleet, from whichever process it is asked; nothing is lost."""
    project = publish(tmp_path, clean_redis)
    with two_nodes(project, tmp_path) as nodes:
        sent = in_threads([lambda node=node: send(node, 6.0) for node in nodes])  # type: ignore[misc]
        wait_until(lambda: document(nodes[0])["totals"]["requests"] >= sum(sent), _FLUSHED_WITHIN_S)

        fleet = [document(node)["totals"] for node in nodes for _ in range(4)]
        names = [it["node"] for it in document(nodes[0])["nodes"]]
        alone = {document(nodes[1], name)["totals"]["requests"] for name in names}
        metrics = [[node.metrics()[REQUESTS] for _ in range(6)] for node in nodes]

    assert [it["requests"] for it in fleet] == [sum(sent)] * 8
    assert alone == set(sent)
    assert metrics == [[count] * 6 for count in sent]
    assert all(sum(it["tiers"].values()) + it["errors"] + it["shed"] == it["requests"] for it in fleet)
    assert fleet[0]["errors"] > 0
    assert fleet[0]["tiers"]["live"] > 0


def test_what_nobody_knows_is_a_gap(tmp_path: Path) -> None:
    """Redis away for some buckets, under load: neither zeros nor the numbers from before; then it goes on.

    A killed node is a gap of its own, with the others' numbers going on, and its history stays.
    """
    over = threading.Event()
    with (
        RedisPair.start(tmp_path / "redis", persist=True) as pair,
        two_nodes(publish(tmp_path, pair), tmp_path) as nodes,
    ):
        first, second = nodes
        loads = [threading.Thread(target=keep_asking, args=(node, over)) for node in nodes]
        for load in loads:
            load.start()
        try:
            wait_until(lambda: steps_told(first) >= 2, _FLUSHED_WITHIN_S)
            names = [it["node"] for it in document(first)["nodes"]]
            pair.primary.process.kill()
            wait_until(lambda: first.metrics()["nearcast_telemetry_buckets_dropped_total"] >= 4, _FLUSHED_WITHIN_S)
            pair.restart_primary()
            wait_until(lambda: gaps(document(first)) >= 1 and document(first)["series"]["errors_per_s"][-1], 60.0)
            gone = next(name for name in names if name.endswith(f":{httpx.URL(second.url).port}"))
            before = document(first, gone)["totals"]["requests"]
            for process in second.children():
                process.kill()
            second.process.kill()
            wait_until(lambda: document(first, gone)["series"]["errors_per_s"][-1] is None, _FLUSHED_WITHIN_S)
        finally:
            over.set()
            for load in loads:
                load.join()
        fleet, alone = document(first), document(first, gone)
        wait_until(lambda: not state_of(first, gone)["alive"], _FLUSHED_WITHIN_S)

    assert fleet["series"]["errors_per_s"][-1] > 0
    assert alone["totals"]["requests"] >= before > 0
    known = [i for i, value in enumerate(fleet["series"]["errors_per_s"]) if value is not None]
    assert all(rate > 0 for i in known[1:-1] for rate in [sum(filter(None, told(fleet["series"], i)))])
    assert all(set(told(fleet["series"], i)) == {None} for i in range(len(fleet["times_ms"])) if i not in known)


def keep_asking(node: Node, over: threading.Event) -> None:
    """One request after the other, hits and errors, as long as the node is there."""
    with httpx.Client(base_url=node.url, timeout=5.0) as client:
        while not over.is_set():
            try:
                client.get("/v1/predict/late/F1:EWR")
                client.get("/v1/predict/late/odd")
            except httpx.TransportError:
                if node.process.poll() is not None:
                    return


def steps_told(node: Node) -> int:
    """How many steps have numbers."""
    return sum(value is not None for value in document(node)["series"]["errors_per_s"])


def gaps(found: dict[str, Any]) -> int:
    """Steps without numbers between those that have them."""
    values = found["series"]["errors_per_s"]
    known = [i for i, value in enumerate(values) if value is not None]
    return known[-1] - known[0] + 1 - len(known) if known else 0


def state_of(node: Node, name: str) -> dict[str, Any]:
    """What a node says of another one."""
    return next(it for it in document(node)["nodes"] if it["node"] == name)
