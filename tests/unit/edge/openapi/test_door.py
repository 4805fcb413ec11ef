"""The document is made when somebody asks, and not again before there is reason to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from starlette.requests import Request

from edge.openapi.door import LOOK_AGAIN_MS, Description
from precompute.models import Key
from precompute.predictor import Predictor
from tests.unit.edge.rig import Rig


class FakeServing:
    """One model, served by the rig's predictor."""

    def __init__(self, rig: Rig) -> None:
        self.project = rig.project
        self.generation = 0
        self._predictor = rig.predictor

    def predictor(self, model: str) -> Predictor:
        return self._predictor


class FakeExamples:
    """Counts how often it is asked."""

    asked = 0

    async def find(self, predictors: Sequence[Predictor]) -> Mapping[str, Sequence[Key]]:
        self.asked += 1
        return {p.servable.model.name: [p.servable.model.parse_key(f"a{self.asked}:p")] for p in predictors}


class Scene:
    def __init__(self) -> None:
        self.now_ms = 1_000
        self.serving, self.examples = FakeServing(Rig()), FakeExamples()
        described = Description(self.serving, self.examples, 1000, lambda: self.now_ms)  # type: ignore[arg-type]
        self._openapi = next(route for route in described.routes() if route.path == "/openapi.json").endpoint

    async def get(self, **headers: str) -> Any:
        """One GET, without a server."""
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        return await self._openapi(Request({"type": "http", "method": "GET", "headers": raw}))


async def test_it_is_made_once_for_everybody() -> None:
    """And a client that has it gets word of that."""
    scene = Scene()

    first, second = await scene.get(), await scene.get()
    third = await scene.get(if_none_match=first.headers["etag"])

    assert scene.examples.asked == 1
    assert orjson.loads(first.body)["openapi"] == "3.1.0"
    assert (first.body, third.status_code) == (second.body, 304)


async def test_what_serves_now_is_described() -> None:
    """Another version may have other outputs."""
    scene = Scene()
    await scene.get()

    scene.serving.generation += 1
    await scene.get()

    assert scene.examples.asked == 2


async def test_examples_are_looked_for_again_after_a_while() -> None:
    """Keys come and go."""
    scene = Scene()
    first = await scene.get()
    scene.now_ms += LOOK_AGAIN_MS - 1
    same = await scene.get()
    scene.now_ms += 1

    later = await scene.get()

    assert first.body == same.body != later.body
    assert b"a2:p" in later.body
