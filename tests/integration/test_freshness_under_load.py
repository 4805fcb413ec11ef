"""While one process puts rows and an edge answers, nothing older than what the edge has read is called fresh."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from deploy.local.redis_pair import RedisPair
from tests.edge_process import Edge, edge_process, tier
from tests.edge_project import EdgeProject, direct, graph

pytestmark = pytest.mark.integration

FLIGHTS = [f"F{i}" for i in range(50)]
KEYS = [f"{flight}:EWR" for flight in FLIGHTS]
ROUNDS = 400
CHANGED_AT_ONCE = 5


class Checker:
    """Asks for all keys again and again, and compares with what was known to have been read before it asked.

    Attributes:
        least: by key, the smallest counter that a fresh answer may show from now on.
    """

    def __init__(self, edge: Edge) -> None:
        self.least = dict.fromkeys(KEYS, 1)
        outputs = direct(graph("late"), [[_distance(n), 0.5, 3.0, 12] for n in range(ROUNDS + 2)])
        self._counter = {output: n for n, output in enumerate(outputs)}
        assert len(self._counter) == ROUNDS + 2
        self._edge = edge
        self._over = threading.Event()
        self.tiers: dict[str, int] = {}
        self.mistakes: list[str] = []

    def run(self) -> None:
        """Asks until told to stop."""
        with httpx.Client(base_url=self._edge.client.base_url, timeout=30.0) as client:
            while not self._over.is_set():
                for key in KEYS:
                    least = self.least[key]
                    response = client.get(f"/v1/predict/late/{key}")
                    self._check(key, least, response.json(), tier(response))
                least_of = dict(self.least)
                answers = client.post("/v1/predict/late", json={"keys": KEYS}).json()["predictions"]
                for key, answer in zip(KEYS, answers, strict=True):
                    self._check(key, least_of[key], answer["prediction"], "many")

    def _check(self, key: str, least: int, answer: dict[str, object], where: str) -> None:
        self.tiers[where] = self.tiers.get(where, 0) + 1
        outputs = answer["outputs"]
        assert isinstance(outputs, dict)
        shown = self._counter.get(np.float32(outputs["y"]), -1)
        if shown < least and "stale" not in answer:
            self.mistakes.append(f"{key} from {where} shows {shown}, but {least} had been read")

    @contextmanager
    def checking(self) -> Iterator[None]:
        """Asks until the end of the block."""
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()


def _distance(counter: int) -> float:
    return 0.1 * counter


def test_an_answer_that_is_not_marked_stale_knows_what_the_edge_has_read(
    clean_redis: RedisPair, tmp_path: Path
) -> None:
    """Rows are put, the replica confirms them, the edge counts their records: from then on none of them is missing."""
    project = EdgeProject.publish(tmp_path, clean_redis)
    project.put_flights(FLIGHTS, [_distance(1)] * len(FLIGHTS))
    project.put_weather({"EWR": 3.0})
    chance = random.Random(0)
    with edge_process(project.settings) as edge:
        checker, records = Checker(edge), edge.metric("nearcast_log_records_total")
        with checker.checking():
            for counter in range(2, ROUNDS + 2):
                changed = chance.sample(FLIGHTS, CHANGED_AT_ONCE)
                project.put_flights(changed, [_distance(counter)] * len(changed), event_ms=counter)
                records += len(changed)
                edge.wait_for_metric("nearcast_log_records_total", records)
                checker.least.update((f"{flight}:EWR", counter) for flight in changed)

        restarts = edge.metric("nearcast_follower_restarts_total")
        final = {key: edge.outputs("late", key)["y"] for key in KEYS}

    assert checker.mistakes == []
    assert {checker._counter[np.float32(y)] for y in final.values()} == set(checker.least.values())
    assert checker.tiers["memory"] > 20
    assert checker.tiers["live"] > 20
    assert restarts == 1
