"""Several processes of one node: one port, one count, and no end of one that the others do not outlive."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from precompute.hot_counter import Window
from precompute.keys import hot_windows_key
from tests.edge_node import Node, edge_node
from tests.edge_project import EdgeProject
from tests.http_wire import get, wire
from tests.processes import is_gone
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

T = TypeVar("T")

TARGET = "/v1/predict/late/F1:EWR"
#: A flight, an airport, and the airport once more.
LOG_RECORDS = 3
REQUESTS = "nearcast_requests_total"


@pytest.fixture
def node(project: EdgeProject, tmp_path: Path) -> Iterator[Node]:
    """A running one."""
    with edge_node(project.settings, tmp_path / "log") as node:
        assert node.url, node.said
        yield node


def ask(node: Node, connections: int, requests: int) -> None:
    """So many answered requests on each of some new connections."""
    for _ in range(connections):
        with wire(node.url) as connection:
            for _ in range(requests):
                connection.send(get(TARGET))
                assert connection.response().status == 200


def test_totals_are_the_nodes_whichever_process_is_asked(node: Node) -> None:
    """Two thousand requests over forty connections are two thousand, on ten new connections."""
    ask(node, connections=40, requests=50)

    seen = [node.metrics() for _ in range(10)]

    assert [it[REQUESTS] for it in seen] == [2000] * 10
    assert [it["nearcast_request_duration_seconds_count"] for it in seen] == [2000] * 10
    assert [it["nearcast_processes"] for it in seen] == [2] * 10
    assert [it["nearcast_ready"] for it in seen] == [2] * 10
    assert [it["nearcast_processes_silent"] for it in seen] == [0] * 10


def test_both_processes_answer(node: Node) -> None:
    """Connections are dealt to both: each has its own memory, and therefore the one entry."""
    ask(node, connections=40, requests=1)

    entries = node.metrics()["nearcast_memory_entries"]

    assert (len(node.children()), entries) == (2, 2)


def test_a_killed_process_is_replaced_and_no_total_goes_backwards(node: Node) -> None:
    """Under load: new connections are answered by the other one, and whatever has been shown stays counted.

    Connections of the killed process end with it, at most one for each client; nothing else can happen to them.
    """
    ask(node, connections=40, requests=5)
    assert node.metrics()[REQUESTS] == 200
    killed, *_ = node.children()
    with (
        repeating(lambda: httpx.get(f"{node.url}{TARGET}").status_code) as (statuses, ended),
        repeating(lambda: node.metrics()[REQUESTS]) as (totals, not_shown),
    ):
        wait_until(lambda: len(statuses) > 20 and len(totals) > 5)

        killed.send_signal(signal.SIGKILL)

        wait_until(lambda: killed.pid not in {child.pid for child in node.children()})
        wait_until(lambda: len(node.children()) == 2, 30.0)
        wait_until(lambda: ready_processes(node) == 2, 30.0)
    assert "edge-1 was ended (Killed); starting it again in 0.5 s" in node.said.replace("edge-2", "edge-1")
    assert set(statuses) == {200}
    assert len(ended) <= 1
    assert len(not_shown) <= 1
    assert totals == sorted(totals)
    assert totals[0] >= 200


def ready_processes(node: Node) -> float:
    """How many say that they take traffic; 0 if the one that was asked ended instead."""
    try:
        return node.metrics()["nearcast_ready"]
    except httpx.TransportError:
        return 0


@contextmanager
def repeating(ask: Callable[[], T]) -> Iterator[tuple[list[T], list[Exception]]]:
    """Asks in a thread, again and again, as long as the block lasts; answers, and connections that ended instead."""
    answers: list[T] = []
    ended: list[Exception] = []
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            try:
                answers.append(ask())
            except httpx.TransportError as error:
                ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield answers, ended
    finally:
        over.set()
        thread.join()


def test_a_process_that_is_told_to_end_takes_nothing_with_it(node: Node) -> None:
    """What it has accepted it answers, what waits in its queue another one does; then it is started again."""
    ended_one, *_ = node.children()
    with repeating(lambda: httpx.get(f"{node.url}{TARGET}").status_code) as (statuses, failures):
        wait_until(lambda: len(statuses) > 20)

        ended_one.send_signal(signal.SIGTERM)

        wait_until(lambda: ended_one.pid not in {child.pid for child in node.children()})
        wait_until(lambda: len(node.children()) == 2, 30.0)
        wait_until(lambda: ready_processes(node) == 2, 30.0)
    assert set(statuses) == {200}
    assert failures == []


def test_a_process_that_is_stuck_is_counted_as_silent(node: Node) -> None:
    """What it wrote down last still counts."""
    ask(node, connections=20, requests=5)
    assert node.metrics()[REQUESTS] == 100
    stuck, *_ = node.children()

    stuck.send_signal(signal.SIGSTOP)
    try:
        found = node.metrics()
    finally:
        stuck.send_signal(signal.SIGCONT)

    assert (found[REQUESTS], found["nearcast_processes"], found["nearcast_processes_silent"]) == (100, 1, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_of_them_cleanly(node: Node, project: EdgeProject, number: signal.Signals) -> None:
    """Exit status 0, nothing left running, and each has handed over its count of hot keys."""
    ask(node, connections=40, requests=1)
    children = node.children()

    node.process.send_signal(number)
    status = node.process.wait(30.0)

    assert status == 0
    assert all(is_gone(child.pid) for child in children)
    assert "Traceback" not in node.said
    assert project.store.call("LLEN", "hot:{late}:windows") >= 2


def test_counts_of_keys_come_from_all_of_them(node: Node, project: EdgeProject) -> None:
    """Each hands over a window of its own, and together they are what was asked for."""
    ask(node, connections=40, requests=5)

    node.process.terminate()
    node.process.wait(30.0)

    windows = [Window.parse(blob) for blob in project.store.call("LRANGE", hot_windows_key("late"), 0, -1)]
    assert len(windows) >= 2
    assert sum(window.total for window in windows if window) == 200


def test_each_of_them_follows_the_logs(node: Node, project: EdgeProject) -> None:
    """A change is seen on every connection, and every process knows why an answer is what it is."""
    ask(node, connections=20, requests=1)
    before = httpx.get(f"{node.url}{TARGET}").json()["outputs"]

    project.put_weather({"EWR": 30.0}, event_ms=2)
    wait_until(lambda: node.metrics()["nearcast_log_records_total"] == 2 * LOG_RECORDS)

    answers = [httpx.get(f"{node.url}{TARGET}").json()["outputs"] for _ in range(20)]
    reasons = [httpx.get(f"{node.url}/v1/why/late/F1:EWR").status_code for _ in range(20)]
    assert before not in answers
    assert reasons == [200] * 20


def test_a_drain_answers_what_is_asked(node: Node) -> None:
    """A connection that was open gets one more answer, and is told that it is the last."""
    with wire(node.url) as connection:
        connection.send(get(TARGET))
        connection.response()
        node.process.send_signal(signal.SIGTERM)
        wait_until(lambda: httpx.get(f"{node.url}/readyz").status_code == 503)

        connection.send(get(TARGET))
        last = connection.response()

    assert (last.status, last.headers["connection"]) == (200, "close")


def test_a_node_whose_parent_is_killed_ends(node: Node) -> None:
    """The processes do not stay behind, nor their directory."""
    children = node.children()
    directory = Path(children[0].cmdline()[children[0].cmdline().index("--directory") + 1])
    assert directory.is_dir()

    node.process.kill()

    wait_until(lambda: all(is_gone(child.pid) for child in children), 20.0)
    wait_until(lambda: not directory.exists())


def test_a_port_that_is_taken_is_one_line(project: EdgeProject, tmp_path: Path) -> None:
    """Also by a node that would share it, as the system sees it."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = taken.getsockname()[1]

        with edge_node(project.settings, tmp_path / "log", port=port) as refused:
            status, said = refused.process.wait(30.0), refused.said

    assert status == 2
    assert said.splitlines() == [
        f"nearcast: cannot listen on 127.0.0.1:{port}: Address already in use; choose another with --port"
    ]


def test_memory_is_shared_out(node: Node, project: EdgeProject) -> None:
    """`memory_max_bytes` is what the node may keep."""
    limit = node.metrics()["nearcast_memory_max_bytes"]

    assert 0.9 * project.settings.memory_max_bytes < limit <= project.settings.memory_max_bytes
