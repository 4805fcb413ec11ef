"""A replica is promoted, without the last changes and with ids that start lower: nothing is fresh that is not."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.redis_binary import find_redis_binary
from deploy.local.redis_pair import RedisPair
from deploy.local.redis_probe import ask, is_following
from precompute.features import Features, Row
from precompute.keys import log_key, row_key
from precompute.store import Store
from tests.edge_process import Edge, edge_process, tier
from tests.edge_project import EdgeProject, direct, graph
from tests.waiting import wait_until

pytestmark = pytest.mark.faults

PATH = "/v1/predict/late/F1:EWR"
#: The edge looks at the replication id every 20 ms; a busy machine may take its time.
NOTICED_WITHIN_S = 1.0
_AHEAD_MS = 3_600_000


def expected(distance: float) -> np.float32:
    """What the model makes of a flight's distance."""
    answer: np.float32 = direct(graph("late"), [[distance, 0.5, 3.0, 12]])[0]
    return answer


class Asker:
    """Asks for one key all the time, and remembers when it asked and what was said."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._over = threading.Event()
        #: When it was asked, the answer if it claims to be fresh, and its tier.
        self.said: list[tuple[float, np.float32 | None, str]] = []

    def run(self) -> None:
        """Asks until told to stop."""
        with httpx.Client(base_url=self._edge.client.base_url, timeout=30.0) as client:
            while not self._over.is_set():
                asked_s = time.monotonic()
                response = client.get(PATH)
                fresh = response.status_code == 200 and "stale" not in response.json()
                value = np.float32(response.json()["outputs"]["y"]) if fresh else None
                self.said.append((asked_s, value, tier(response) if fresh else ""))

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Asks until the end of the block."""
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def wait_for(self, value: np.float32, from_tier: str, asked_after_s: float = 0.0) -> None:
        """Waits until the last answer is this one, from that tier, to a question asked after a time."""

        def is_there() -> bool:
            last = self.said[-1] if self.said else (0.0, None, "")
            return last[0] > asked_after_s and last[1:] == (value, from_tier)

        wait_until(is_there, 20.0, f"no {value}")

    def fresh_after(self, time_s: float) -> set[np.float32]:
        """What was called fresh in answers asked for after a time."""
        return {value for asked_s, value, _ in self.said if asked_s > time_s and value is not None}


@contextmanager
def second_replica(pair: RedisPair, directory: Path) -> Iterator[int]:
    """The port of another replica of the pair's primary, of its own version."""
    port, directory = free_port(), directory / "second"
    directory.mkdir()
    options = ["--port", str(port), "--bind", LOOPBACK, "--save", "", "--dir", str(directory)]
    follow = ["--replicaof", LOOPBACK, str(pair.primary.port), "--repl-diskless-sync", "no"]
    with subprocess.Popen([find_redis_binary().path, *options, *follow], stdout=subprocess.DEVNULL) as server:
        try:
            wait_until(lambda: _says(lambda: is_following(pair.primary.port, port)), 30.0, "does not follow")
            yield port
        finally:
            server.kill()


def _says(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:
        return False


@pytest.fixture
def project(own_redis_pair: RedisPair, tmp_path: Path) -> EdgeProject:
    """One flight and its weather."""
    project = EdgeProject.publish(tmp_path, own_redis_pair, redis_timeout_s=0.5)
    project.put_flights(["F1", "F2"], [1.0, 2.0])
    project.put_weather({"EWR": 3.0})
    return project


def _put(store: Store, project: EdgeProject, distance: float) -> None:
    result = Features(store, project.project).put("flight", [Row("F1", {"distance": distance, "slack": 0.5}, 2)])
    assert result.written == 1


def _has(port: int, before: str) -> bool:
    """Whether a server shows another row than before."""
    said = ask(port, f"GET {row_key('flight', 'F1')}")
    return said != before and "LOADING" not in said


def test_a_change_under_a_lower_id_is_not_missed_when_the_replica_follows_a_new_primary(
    own_redis_pair: RedisPair, project: EdgeProject, tmp_path: Path
) -> None:
    """The edge has read records that the new primary never had, an hour ahead of all it will give out.

    The replica drops them and copies the new primary. What changes there looks older than what the edge has read; only
    the replication id tells that it is not.
    """
    old, replica = own_redis_pair.primary, own_redis_pair.replica
    with second_replica(own_redis_pair, tmp_path) as port, edge_process(project.settings) as edge:
        asker, new = Asker(edge), Store(f"redis://{LOOPBACK}:{port}/0")
        with asker.asking():
            asker.wait_for(expected(1.0), "memory")
            assert ask(port, "REPLICAOF NO ONE").startswith("+OK")
            records = edge.metric("nearcast_log_records_total")
            ask(old.port, f"XADD {log_key('flight')} {time.time_ns() // 1_000_000 + _AHEAD_MS}-0 e F2")
            edge.wait_for_metric("nearcast_log_records_total", records + 1)
            _put(new, project, 10.0)
            before = ask(replica.port, f"GET {row_key('flight', 'F1')}")

            ask(replica.port, f"REPLICAOF {LOOPBACK} {port}")
            wait_until(lambda: _has(replica.port, before), 30.0, "the replica does not follow the new primary")
            noticed_s = time.monotonic() + NOTICED_WITHIN_S
            asker.wait_for(expected(10.0), "memory", asked_after_s=noticed_s)
            _put(new, project, 20.0)
            asker.wait_for(expected(20.0), "memory")

        restarts = edge.metric("nearcast_follower_restarts_total")
        new.close()

    assert asker.fresh_after(noticed_s) == {expected(10.0), expected(20.0)}
    assert restarts >= 2


def test_an_edge_goes_on_when_its_own_replica_is_promoted(own_redis_pair: RedisPair, project: EdgeProject) -> None:
    """Entries of the old history are unknown in the new one until computed anew, and its changes count at once."""
    replica = own_redis_pair.replica
    with edge_process(project.settings) as edge:
        asker, promoted = Asker(edge), Store(own_redis_pair.replica_url)
        with asker.asking():
            asker.wait_for(expected(1.0), "memory")
            own_redis_pair.primary.process.kill()
            assert ask(replica.port, "REPLICAOF NO ONE").startswith("+OK")
            edge.wait_for_metric("nearcast_follower_restarts_total", 2)
            asker.wait_for(expected(1.0), "memory")

            _put(promoted, project, 10.0)
            noticed_s = time.monotonic() + NOTICED_WITHIN_S
            asker.wait_for(expected(10.0), "memory", asked_after_s=noticed_s)

        lag_s = edge.metric("nearcast_replica_lag_seconds")
        promoted.close()

    assert asker.fresh_after(noticed_s) == {expected(10.0)}
    # It has no primary to be behind; its logs may have been read a moment longer ago than half a second.
    assert lag_s < 0.1
