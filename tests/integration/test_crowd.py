"""Many clients that ask a real edge for one key which nobody has computed yet."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from deploy.local.redis_pair import RedisPair
from tests.edge_process import Edge, address, edge_process
from tests.edge_project import EdgeProject
from tests.http_wire import Wire, get, wire

pytestmark = pytest.mark.integration

CALLERS = 100
COLD = get("/v1/predict/late/F1:EWR?hour=12")


@pytest.fixture
def project(clean_redis: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProject]:
    """A flight and the weather there; clients and edges with patience."""
    published = EdgeProject.publish(
        tmp_path_factory.mktemp("crowd"), clean_redis, budget_ms=20_000.0, redis_timeout_s=20.0
    )
    published.put_weather({"EWR": 3.0})
    published.put_flights(["F1"], [100.0])
    yield published
    published.store.close()


@pytest.fixture(params=[True, False], ids=["lane", "plain"])
def edge(project: EdgeProject, request: pytest.FixtureRequest) -> Iterator[Edge]:
    """An edge of each kind."""
    with edge_process(project.settings.model_copy(update={"lane": request.param})) as running:
        yield running


@pytest.fixture
def crowd(edge: Edge) -> Iterator[list[Wire]]:
    """A connection for each caller."""
    with ExitStack() as resources:
        yield [resources.enter_context(wire(address(edge.role))) for _ in range(CALLERS)]


def test_a_crowd_costs_one_row(edge: Edge, crowd: list[Wire]) -> None:
    """However their reads and the flight overlap, the model runs once, for one row, and all get its answer."""
    for caller in crowd:
        caller.send(COLD)
    answers = [caller.response() for caller in crowd]

    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert edge.metric("nearcast_live_rows_total") == 1


def test_a_leader_that_hangs_up_fails_nobody(edge: Edge, crowd: list[Wire], clean_redis: RedisPair) -> None:
    """The first to ask is gone before the replica has answered anything; the others get what it began."""
    leader, *others = crowd
    with silent(clean_redis):
        leader.send(COLD)
        for caller in others:
            caller.send(COLD)
        leader.socket.close()
        assert edge.get("/livez").status_code == 200
    answers = [caller.response() for caller in others]

    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert edge.metric("nearcast_live_rows_total") == 1


@contextmanager
def silent(pair: RedisPair) -> Iterator[None]:
    """The replica answers nobody until the end of the block."""
    pair.replica.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        pair.replica.process.send_signal(signal.SIGCONT)
