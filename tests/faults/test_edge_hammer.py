"""Many callers at once, some of whom leave in the middle, while features change: nobody gets another's answer."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import pytest

from deploy.local.redis_pair import RedisPair
from precompute.features import Row
from precompute.keys import entry_key
from tests.edge_process import edge_process
from tests.edge_project import EdgeProject, direct, graph
from tests.waiting import until

pytestmark = pytest.mark.faults

CALLERS = 32
ASKS = 60
FLIGHTS = 30
HOURS = 3
#: The weather changes once in so many answers, so that every tier has its share of them.
CHANGE_EVERY = 300
TEMPS = (3.0, -3.0)
VARIANTS = ("default", "fast")


class Truth:
    """Every answer there may be: by variant and key, one for each weather."""

    def __init__(self) -> None:
        grid = [(i, hour, temp) for i in range(FLIGHTS) for hour in range(HOURS) for temp in TEMPS]
        rows = np.array([[i / 10, 0.5, temp, hour] for i, hour, temp in grid], np.float32)
        self._may: dict[tuple[str, str], set[np.float32]] = {}
        for variant in VARIANTS:
            for (i, hour, _), value in zip(grid, direct(graph("late", variant), rows), strict=True):
                self._may.setdefault((variant, f"F{i}:EWR?hour={hour}"), set()).add(value)

    def mistake(self, variant: str, key: str, body: dict[str, object]) -> str:
        """What is wrong with an answer, empty if nothing is."""
        outputs = body["outputs"]
        assert isinstance(outputs, dict)
        if (body["key"], body["variant"]) != (key, variant):
            return f"asked for {variant} {key}, got {body['variant']} {body['key']}"
        if np.float32(outputs["y"]) not in self._may[variant, key]:
            return f"{variant} {key} is never {outputs['y']}"
        return ""

    def distinct(self) -> float:
        """Share of the answers that no other key has; a mix-up of the others would not show."""
        count = Counter(value for values in self._may.values() for value in values)
        return sum(n == 1 for n in count.values()) / len(count)


class Caller:
    """Asks for random keys; a third of its requests it gives up after a moment."""

    def __init__(
        self, client: httpx.AsyncClient, truth: Truth, seed: int, seen: Counter[str], wrong: list[str]
    ) -> None:
        self._client, self._truth, self._random = client, truth, random.Random(seed)
        self._seen, self._wrong = seen, wrong

    async def run(self) -> None:
        """All its requests, one after the other."""
        for _ in range(ASKS):
            patience_s = self._random.choice([None, None, self._random.random() / 100])
            try:
                async with asyncio.timeout(patience_s):
                    await (self._many() if self._random.random() < 0.1 else self._one())
            except TimeoutError:
                self._seen["left"] += 1

    def _key(self) -> tuple[str, int]:
        return f"F{self._random.randrange(FLIGHTS)}:EWR", self._random.randrange(HOURS)

    async def _one(self) -> None:
        variant, (key, hour) = self._random.choice(VARIANTS), self._key()
        headers = self._random.choice([{}, {}, {"cache-control": "no-cache"}])
        budget_ms = self._random.choice([5000, 5000, 2])
        query = {"hour": hour, "variant": variant, "budget_ms": budget_ms}
        response = await self._client.get(f"/v1/predict/late/{key}", params=query, headers=headers)
        self._judge(response.status_code, variant, f"{key}?hour={hour}", response)

    async def _many(self) -> None:
        variant, keys, hour = self._random.choice(VARIANTS), [self._key()[0] for _ in range(20)], self._key()[1]
        content = {"keys": keys, "variant": variant, "context": {"hour": hour}}
        response = await self._client.post("/v1/predict/late", json=content)
        for key, answer in zip(keys, response.json()["predictions"], strict=True):
            self._judge(answer["status"], variant, f"{key}?hour={hour}", answer.get("prediction"))

    def _judge(self, status: int, variant: str, key: str, answer: httpx.Response | dict[str, object]) -> None:
        self._seen[str(status)] += 1
        if status == 200:
            body = answer.json() if isinstance(answer, httpx.Response) else answer
            if mistake := self._truth.mistake(variant, key, body):
                self._wrong.append(mistake)


def test_nobody_is_ever_given_another_keys_answer(own_redis_pair: RedisPair, tmp_path: Path) -> None:
    """Abandoned requests, budgets that run out, single keys and many, changing weather, swapped entries in Redis."""
    # A memory of fifty entries, for 180 keys.
    project = EdgeProject.publish(tmp_path, own_redis_pair, memory_max_bytes=60_000)
    project.put_flights([f"F{i}" for i in range(FLIGHTS)], [i / 10 for i in range(FLIGHTS)])
    project.put_weather({"EWR": TEMPS[0]})
    truth, seen, wrong = Truth(), Counter[str](), list[str]()

    with edge_process(project.settings) as edge:
        asyncio.run(_hammer(project, str(edge.client.base_url), truth, seen, wrong))
        tiers = {t: edge.metric("nearcast_requests_total", tier=t) for t in ("memory", "replica", "live")}
        corrupt = edge.metric("nearcast_corrupt_entries_total")
        said = edge.role.said

    assert truth.distinct() > 0.9
    assert wrong == []
    assert seen.keys() <= {"200", "504", "left"}, seen
    assert seen["200"] > CALLERS * ASKS / 3
    assert seen["left"] > 50
    assert min(tiers.values()) > 50, tiers
    assert corrupt > 0
    assert "Traceback" not in said


async def _hammer(project: EdgeProject, url: str, truth: Truth, seen: Counter[str], wrong: list[str]) -> None:
    limits = httpx.Limits(max_connections=CALLERS, max_keepalive_connections=CALLERS)
    async with httpx.AsyncClient(base_url=url, timeout=30.0, limits=limits) as client:
        callers = [Caller(client, truth, seed, seen, wrong).run() for seed in range(CALLERS)]
        meddling = asyncio.create_task(_meddle(project, seen))
        await asyncio.gather(*callers)
        meddling.cancel()
        await asyncio.gather(meddling, return_exceptions=True)


async def _meddle(project: EdgeProject, seen: Counter[str]) -> None:
    """The weather changes, and somebody puts one key's entry where others' belong."""
    for event_ms in itertools.count(2):
        enough = seen.total() + CHANGE_EVERY
        await until(lambda enough=enough: _true(seen.total() >= enough), 60.0)
        await asyncio.to_thread(_change, project, TEMPS[event_ms % 2], event_ms)


def _change(project: EdgeProject, temp: float, event_ms: int) -> None:
    put = project.features.put("weather", [Row("EWR", {"temp": temp}, event_ms)])
    assert put.written + put.unchanged == 1
    names = [entry_key("late", 1, f"F{i}:EWR?hour={hour}") for i in range(FLIGHTS) for hour in range(HOURS)]
    stolen = next((found for found in project.store.call("MGET", *names) if found), None)
    if stolen is not None:
        project.store.run([("SET", name, stolen, "PX", 60_000) for name in names])
    project.replicate()


async def _true(answer: bool) -> bool:
    return answer
