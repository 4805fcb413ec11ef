"""Counters that balance: every key that was asked for is counted once, whatever became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import Mock

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.api.predict import Predict
from edge.stats import Tier
from precompute.series import Tally
from precompute.settings import Settings
from precompute.snapshot import Snapshot
from tests.unit.edge.rig import NoExperiments, Rig

GET, MANY = "GET", "POST"
#: Present, present, without a row, no key at all, one that the model fails with.
KEYS = ("a:p", "b:p", "gone:p", "odd", "poison:p")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just(GET), st.sampled_from(KEYS)),
        st.tuples(st.just("same"), st.sampled_from(KEYS[:2])),
        st.tuples(st.just(MANY), st.lists(st.sampled_from(KEYS), min_size=1, max_size=4)),
        st.tuples(st.sampled_from(["no model", "no body", "change", "fail", "mend", "wait"]), st.none()),
    ),
    max_size=12,
)


class Serving:
    """Serves the rig's model."""

    def __init__(self, rig: Rig) -> None:
        self.project = rig.project
        self._predictor = rig.predictor

    def predictor(self, model: str, variant: str | None = None) -> Any:
        self.project.model(model)
        return self._predictor


class Client:
    """Asks the application for everybody, and knows how many keys were asked for."""

    def __init__(self, *, max_waiting: int) -> None:
        self.rig = Rig(policy="stale_while_revalidate_s = 0.5, stale_if_error_s = 0.5", max_waiting=max_waiting)
        self.predict = Predict(
            self.rig.ladder,
            Serving(self.rig),  # type: ignore[arg-type]
            self.rig.stats,
            Settings(),
            lambda model, key: None,
            Mock(),
            NoExperiments(),  # type: ignore[arg-type]
        )
        self.asked = self.not_modified = 0
        self._changes = 0

    async def take(self, step: str, about: Any) -> None:
        self.asked += {GET: 1, "same": 1, MANY: len(about or ()), "no model": 1, "no body": 1}.get(step, 0)
        match step:
            case "GET":
                await self._ask(GET, f"/v1/predict/score/{about}")
            case "same":
                self.not_modified += await self._ask(GET, f"/v1/predict/score/{about}", if_none_match=b"*") == 304
            case "POST":
                await self._ask(MANY, "/v1/predict/score", orjson.dumps({"keys": about}))
            case "no model":
                await self._ask(GET, "/v1/predict/nobody/a:p")
            case "no body":
                await self._ask(MANY, "/v1/predict/score", b"{")
            case "change":
                self._changes += 1
                self.rig.change(self._changes, v=[1.0, float(self._changes)])
            case "fail":
                self.rig.fail()
            case "mend":
                self.rig.replica.error = None
            case "wait":
                self.rig.now_ms += 400

    async def _ask(self, method: str, path: str, body: bytes = b"", **headers: bytes) -> int:
        statuses: list[int] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        named = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
        scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": named}
        await self.predict(scope, receive, send)
        return statuses[0]

    def snapshot(self) -> Snapshot:
        """What has been counted."""
        stats = self.rig.stats
        return Snapshot(
            answers={(m, v, str(tier)): took.taken() for (m, v, tier), took in stats.all_answers().items()},
            errors=dict(stats.errors),
            of_which={(m, "shed"): count for m, count in stats.shed.items()},
        )


@settings(max_examples=60, deadline=None)
@given(STEPS, st.sampled_from([0, 100]))
def test_every_key_is_counted_once(steps: list[tuple[str, Any]], max_waiting: int) -> None:
    """As an answer of one tier, as an error, or as shed; and what the client had already is among the answers."""

    async def scene() -> Client:
        client = Client(max_waiting=max_waiting)
        client.rig.replica.put("thing", "poison", 0, v=[1.0, 2.0])
        for step, about in steps:
            await client.take(step, about)
        await client.rig.ladder.live.close()
        return client

    client = asyncio.run(scene())

    tally = Tally.of(client.snapshot())
    assert tally.requests == client.asked
    assert sum(client.rig.stats.not_modified.values()) == client.not_modified
    assert set(tally.tiers) == set(map(str, Tier))


async def together(*asks: Callable[[], Awaitable[None]]) -> None:
    """At the same time."""
    await asyncio.gather(*(ask() for ask in asks))


async def test_crowds_are_counted_one_by_one() -> None:
    """Those who share a flight as well: each of them has asked."""
    client = Client(max_waiting=100)

    await together(*(lambda: client.take(GET, "a:p") for _ in range(5)), lambda: client.take(MANY, ["a:p", "b:p"]))

    tally = Tally.of(client.snapshot())
    assert (tally.requests, client.asked) == (7, 7)
    assert tally.tiers["live"] == 7
