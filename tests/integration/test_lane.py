"""Connections of a real edge, from their beginning to their end."""

from __future__ import annotations

import itertools
import json
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from deploy.local.redis_pair import RedisPair
from tests.edge_process import Edge, address, edge_process
from tests.edge_project import EdgeProject
from tests.http_wire import Wire, get, wire
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

HIT = get("/v1/predict/late/F1:EWR?hour=12")
MISSES = itertools.count(10)


@pytest.fixture
def project(clean_redis: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProject]:
    """A thousand flights."""
    published = EdgeProject.publish(tmp_path_factory.mktemp("lane"), clean_redis, keep_alive_s=0.5)
    published.put_weather({"EWR": 3.0})
    published.put_flights([f"F{n}" for n in range(1000)], [float(n) for n in range(1000)])
    yield published
    published.store.close()


@pytest.fixture(params=[True, False], ids=["lane", "plain"])
def edge(project: EdgeProject, request: pytest.FixtureRequest) -> Iterator[Edge]:
    """An edge of each kind, which holds one flight."""
    with edge_process(project.settings.model_copy(update={"lane": request.param})) as running:
        assert running.get("/v1/predict/late/F1:EWR?hour=12").status_code == 200
        yield running


def test_an_idle_connection_is_closed_after_a_while(edge: Edge) -> None:
    """Whether it has asked something, or nothing, or half of something."""
    for said, answers in ((HIT, 1), (b"", 0), (HIT + HIT[:9], 1)):
        with wire(address(edge.role)) as connection:
            connection.send(said)
            for _ in range(answers):
                assert "connection" not in connection.response().headers

            assert connection.is_at_end()


def test_a_busy_connection_is_kept(edge: Edge) -> None:
    """Each request begins the wait anew."""
    with wire(address(edge.role)) as connection:
        ages = set()
        while len(ages) < 3:  # Seconds, each longer than the wait.
            connection.send(HIT)
            ages.add(connection.response().headers["age"])


@pytest.mark.parametrize("half", [HIT[:9], HIT[:-2], b"POST /v1/predict/late HTTP/1.1\r\nContent-Length: 300\r\n\r\n"])
def test_a_known_packet_behind_half_a_request_is_part_of_it(edge: Edge, half: bytes) -> None:
    """It has been answered often, and still says something else where it stands now."""
    address_of = address(edge.role)
    with wire(address_of) as usual:
        for _ in range(3):
            usual.send(HIT)
            assert usual.response().status == 200

    with wire(address_of) as connection:
        connection.send(half)
        _settle(edge)
        connection.send(HIT)
        _settle(edge)
        connection.socket.shutdown(socket.SHUT_WR)
        seen = connection.rest()

    assert b" 200 OK" not in seen


def test_a_known_packet_waits_for_the_answer_before_it(edge: Edge) -> None:
    """Answers keep the order of the requests, whatever is remembered of them."""
    with wire(address(edge.role)) as connection:
        for _ in range(3):
            connection.send(HIT)
            assert connection.response().status == 200
        for _ in range(20):
            miss = next(MISSES)
            connection.send(get(f"/v1/predict/late/F{miss}:EWR?hour=12"))
            connection.send(HIT)

            keys = [json.loads(connection.response().body)["key"] for _ in range(2)]

            assert keys == [f"F{miss}:EWR?hour=12", "F1:EWR?hour=12"]


def _settle(edge: Edge) -> None:
    """What was sent before has been read: a request on another connection, sent later, is answered."""
    assert edge.get("/livez").status_code == 200


def test_headers_without_end_are_hung_up_on(edge: Edge) -> None:
    """Others are answered meanwhile."""
    with wire(address(edge.role)) as endless, wire(address(edge.role)) as other:
        endless.send(HIT[:-2] + b"X: ")
        for _ in range(33):  # The last of them is one too many; more would meet a closed door.
            endless.send(b"y" * 2000)
            other.send(HIT)
            assert other.response().status == 200

        assert endless.response().status == 431
        assert endless.is_at_end()


def test_a_changed_feature_is_never_served_as_fresh(edge: Edge, project: EdgeProject) -> None:
    """Once one answer knows of the change, no later one on any connection does not."""
    with wire(address(edge.role)) as one, wire(address(edge.role)) as other:
        for step in range(2, 12):
            before = _body(one)
            project.put_flights(["F1"], [100.0 * step], event_ms=step)

            after = wait_until(lambda before=before: (body := _body(one)) != before and body)

            assert [_body(other), _body(one)] == [after, after]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_loses_no_request(edge: Edge, number: signal.Signals) -> None:
    """Every request of a client that goes when it is told to is answered; pipelined ones in order until then."""
    clients = [_Client(edge, asked) for asked in (_hits, _hits, _misses, _misses)]
    for client in clients:
        client.start()
    wait_until(lambda: all(client.answers > 20 for client in clients))

    edge.role.process.send_signal(number)
    for client in clients:
        client.join(20.0)

    assert [client.trouble for client in clients] == [None] * 4
    assert edge.role.process.wait(20.0) == 0


def test_a_stop_waits_for_no_idle_connection(edge: Edge) -> None:
    """It is closed without a word."""
    with wire(address(edge.role)) as connection:
        connection.send(HIT)
        connection.response()

        edge.role.process.terminate()

        assert connection.is_at_end()
    assert edge.role.process.wait(20.0) == 0


def _body(connection: Wire) -> bytes:
    connection.send(HIT)
    response = connection.response()
    assert "detail=stale" not in response.headers["cache-status"]
    return response.body


def _hits() -> list[str]:
    return ["F1"] * 3


def _misses() -> list[str]:
    return ["F1", f"F{next(MISSES) % 990 + 10}", "F1"]


class _Client(threading.Thread):
    """Asks in small pipelines on one connection until it is told to close it."""

    def __init__(self, edge: Edge, asked: Callable[[], list[str]]) -> None:
        super().__init__(daemon=True)
        self._address = address(edge.role)
        self._asked = asked
        self.answers = 0
        self.trouble: Exception | None = None

    def run(self) -> None:
        try:
            with wire(self._address) as connection:
                while self._pipeline(connection):
                    pass
        except Exception as error:
            self.trouble = error

    def _pipeline(self, connection: Wire) -> bool:
        """Whether to go on."""
        flights = self._asked()
        connection.send(b"".join(get(f"/v1/predict/late/{flight}:EWR?hour=12") for flight in flights))
        for flight in flights:
            response = connection.response()
            assert re.search(rb'"key":"(\w+):', response.body)[1].decode() == flight  # type: ignore[index]
            self.answers += 1
            if response.headers.get("connection") == "close":
                return False
        return True
