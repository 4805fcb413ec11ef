"""An edge whose replica or primary is killed goes on answering, says nothing wrong, and recovers by itself."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from deploy.local.redis_pair import RedisPair
from precompute.features import Row
from tests.edge_process import Edge, edge_process, tier
from tests.edge_project import EdgeProject, direct, graph
from tests.waiting import wait_until

pytestmark = pytest.mark.faults

REMEMBERED, COMPUTED = "/v1/predict/late/F1:EWR", "/v1/predict/late/F2:EWR"
GUESSED = "/v1/predict/guess/EWR"


def project_on(directory: Path, pair: RedisPair) -> EdgeProject:
    """Two flights from one airport; a command that stays without reply for half a second counts as lost."""
    project = EdgeProject.publish(directory, pair, redis_timeout_s=0.5)
    project.put_flights(["F1", "F2"], [1.0, 2.0])
    project.put_weather({"EWR": 3.0})
    return project


def right(path: str) -> set[np.float32]:
    """What an answer may say."""
    if path == GUESSED:
        return {direct(graph("guess"), [[3.0]])[0], np.float32(0.5)}
    return {direct(graph("late"), [[1.0 if "F1" in path else 2.0, 0.5, 3.0, 12]])[0]}


class Prober:
    """Asks all the time: one key from memory, one that must be computed each time, one with a default."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._expected = {path: right(path) for path in (REMEMBERED, COMPUTED, GUESSED)}
        self._over = threading.Event()
        self.seen: Counter[tuple[str, int, str]] = Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        """Asks until told to stop."""
        with httpx.Client(base_url=self._edge.client.base_url, timeout=30.0) as client:
            while not self._over.is_set():
                for path, expected in self._expected.items():
                    headers = {"cache-control": "no-cache"} if path == COMPUTED else {}
                    response = client.get(path, params={"budget_ms": 300}, headers=headers)
                    ok = response.status_code == 200
                    self.seen[path, response.status_code, tier(response) if ok else ""] += 1
                    if ok and np.float32(response.json()["outputs"]["y"]) not in expected:
                        self.wrong.append(response.text)

    @contextmanager
    def probing(self) -> Iterator[None]:
        """Asks until the end of the block."""
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def count(self, path: str, status: int | None = None, *tiers: str) -> int:
        """Answers so far, by path and as narrow as asked."""
        return sum(
            n for (p, s, t), n in self.seen.items() if p == path and status in (None, s) and (not tiers or t in tiers)
        )

    def wait_for_more(self, path: str, status: int, *tiers: str) -> None:
        """Waits for ten more answers of a kind."""
        before = self.count(path, status, *tiers)
        wait_until(lambda: self.count(path, status, *tiers) >= before + 10, 20.0, f"{path}: no {status} {tiers}")


def test_a_replica_killed_under_requests_costs_only_what_must_be_read_from_it(
    own_redis_pair: RedisPair, tmp_path: Path
) -> None:
    """Memory answers on as fresh; what must be computed is an honest 503, never a 422 for a row that is there.

    The new replica begins empty, and says so to nobody: its lack of rows must not be taken for an answer.
    """
    pair = own_redis_pair
    project = project_on(tmp_path, pair)
    with edge_process(project.settings) as edge:
        edge.get(REMEMBERED)
        prober = Prober(edge)
        with prober.probing():
            prober.wait_for_more(COMPUTED, 200, "live")

            pair.replica.process.kill()
            prober.wait_for_more(COMPUTED, 503)
            prober.wait_for_more(REMEMBERED, 200, "memory")
            not_ready = edge.get("/readyz").json()

            pair.restart_replica()
            prober.wait_for_more(COMPUTED, 200, "live")
            prober.wait_for_more(REMEMBERED, 200, "memory")

        assert prober.wrong == []
        assert prober.count(REMEMBERED) == prober.count(REMEMBERED, 200)
        assert prober.count(GUESSED) == prober.count(GUESSED, 200)
        assert prober.count(COMPUTED) == sum(prober.count(COMPUTED, status) for status in (200, 503, 504))
        assert not_ready["replica_connected"] is False
        assert edge.metric("nearcast_replica_failures_total") > 0
        assert edge.get("/readyz").json()["replica_connected"] is True


def test_changes_while_the_replica_was_away_are_known_when_it_is_back(
    own_redis_pair: RedisPair, tmp_path: Path
) -> None:
    """What changed meanwhile is not fresh any more, and what did not still is."""
    project = project_on(tmp_path, own_redis_pair)
    with edge_process(project.settings) as edge:
        for path in (REMEMBERED, COMPUTED):
            edge.get(path)
        own_redis_pair.replica.process.kill()
        wait_until(lambda: not edge.get("/readyz").json()["replica_connected"])
        assert not project.features.put("flight", [_row("F2", 20.0)]).rejected

        own_redis_pair.restart_replica()
        changed = wait_until(lambda: _unless_tier(edge.get(COMPUTED), "memory"))
        unchanged = edge.get(REMEMBERED)

    assert np.float32(changed.json()["outputs"]["y"]) == direct(graph("late"), [[20.0, 0.5, 3.0, 12]])[0]
    assert tier(unchanged) == "memory"


def test_a_frozen_replica_costs_a_bounded_wait(own_redis_pair: RedisPair, tmp_path: Path) -> None:
    """It accepts and never answers: each request still ends within its budget, and memory does not notice."""
    project = project_on(tmp_path, own_redis_pair)
    with edge_process(project.settings) as edge:
        edge.get(REMEMBERED)
        own_redis_pair.replica.process.send_signal(signal.SIGSTOP)
        try:
            computed = edge.get(COMPUTED + "?budget_ms=200")
            default = edge.get(GUESSED + "?budget_ms=200")
            remembered = edge.get(REMEMBERED)
        finally:
            own_redis_pair.replica.process.send_signal(signal.SIGCONT)
        again = wait_until(lambda: _of_status(edge.get(COMPUTED), 200))

    assert computed.status_code in (503, 504)
    assert tier(default) == "default"
    assert tier(remembered) == "memory"
    assert np.float32(again.json()["outputs"]["y"]) in right(COMPUTED)


def test_an_edge_does_without_the_primary(tmp_path: Path) -> None:
    """Every tier answers; write-backs are dropped and counted; when it is back they are written again."""
    (tmp_path / "redis").mkdir()
    with RedisPair.start(tmp_path / "redis", persist=True) as pair:
        project = project_on(tmp_path, pair)
        with edge_process(project.settings) as edge:
            edge.get(REMEMBERED)
            edge.wait_for_metric("nearcast_write_backs_total", 1)
            pair.primary.process.kill()
            wait_until(lambda: not edge.get("/readyz").json()["primary_connected"])

            remembered, computed = edge.get(REMEMBERED), edge.get(COMPUTED)
            edge.wait_for_metric("nearcast_write_backs_dropped_total", 1)
            dropped = edge.metric("nearcast_write_backs_dropped_total")
            ready = edge.get("/readyz")

            pair.restart_primary()
            written = edge.metric("nearcast_write_backs_total")
            wait_until(lambda: _written_more(edge, written), 20.0, "nothing is written back")
            after = wait_until(lambda: _of_tier(edge.get(REMEMBERED), "memory"))

    assert (tier(remembered), tier(computed)) == ("memory", "live")
    assert dropped == 1
    assert ready.status_code == 200
    assert np.float32(after.json()["outputs"]["y"]) in right(REMEMBERED)


def test_an_edge_starts_while_the_primary_is_away(own_redis_pair: RedisPair, tmp_path: Path) -> None:
    """The replica is all that it needs."""
    project = project_on(tmp_path, own_redis_pair)
    own_redis_pair.primary.process.kill()
    own_redis_pair.primary.process.wait(10)

    with edge_process(project.settings) as edge:
        answer = edge.get(COMPUTED)

    assert np.float32(answer.json()["outputs"]["y"]) in right(COMPUTED)


def _row(name: str, distance: float) -> Row:
    return Row(name, {"distance": distance, "slack": 0.5}, 2)


def _written_more(edge: Edge, than: float) -> bool:
    edge.get(COMPUTED, cache_control="no-cache")
    return edge.metric("nearcast_write_backs_total") > than


def _of_status(response: httpx.Response, status: int) -> httpx.Response | None:
    return response if response.status_code == status else None


def _of_tier(response: httpx.Response, wanted: str) -> httpx.Response | None:
    return response if response.status_code == 200 and tier(response) == wanted else None


def _unless_tier(response: httpx.Response, unwanted: str) -> httpx.Response | None:
    return response if response.status_code == 200 and tier(response) != unwanted else None
