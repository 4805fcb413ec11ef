"""`infer` by key, without a server."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import Scope

from edge.api.oip.by_key import ByKey
from edge.api.oip.found import Found
from edge.api.oip.inputs import parse
from edge.stats import Tier
from precompute.errors import InvalidRequest, StoreUnavailable
from precompute.outputs import default_rules
from precompute.predictor import Predictor, Servable
from precompute.settings import Settings
from tests.unit.edge.rig import SESSION, Rig

SCOPE: Scope = {"type": "http", "headers": [], "query_string": b""}


async def _known(predictor: Predictor) -> Servable:
    return predictor.servable


class Bench:
    """A rig's model, which has two outputs, behind the door."""

    def __init__(self, policy: str = "") -> None:
        self.rig = Rig(policy=policy)
        self.rig.predictor.servable = replace(self.rig.servable, rules=default_rules(SESSION.signature))
        serving = SimpleNamespace(
            project=self.rig.project, predictor=lambda model, variant=None: self.rig.predictor, known=_known
        )
        experiments = SimpleNamespace(parameters=lambda _: (), deal=lambda *_: None)
        auto = SimpleNamespace(measure=lambda *_: None)
        self.counted: list[tuple[str, str]] = []
        self.door = ByKey(
            self.rig.ladder,
            serving,  # type: ignore[arg-type]
            auto,  # type: ignore[arg-type]
            experiments,  # type: ignore[arg-type]
            Settings(),
            lambda model, key: self.counted.append((model, key)),
        )

    async def ask(self, key: object = "a:p", version: str | None = None, **body: Any) -> Found:
        """What is found for a key."""
        body["parameters"] = {"key": key, **body.get("parameters", {})}
        return await self.door.answer(SCOPE, parse(json.dumps(body).encode(), None), "score", version)


async def test_all_outputs_are_rows_of_their_own() -> None:
    """Computed, then remembered; and the key is counted as asked for."""
    bench = Bench()

    first, second = await bench.ask(), await bench.ask()

    assert (first.tier, second.tier) == (Tier.LIVE, Tier.MEMORY)
    assert {name: array.tolist() for name, array in second.outputs.items()} == {"sum": [[13.0]], "checked": [[1.0]]}
    assert bench.counted == [("score", "a:p")] * 2


async def test_only_what_is_wanted_is_found() -> None:
    """By name."""
    assert list((await Bench().ask(outputs=[{"name": "checked"}])).outputs) == ["checked"]


async def test_a_default_gives_what_it_has() -> None:
    """What it lacks is left out, or cannot be had just now if it was asked for."""
    bench = Bench(policy="default = { sum = 7.5 }")
    bench.rig.fail()

    found = await bench.ask()

    assert (found.tier, found.outputs["sum"].tolist(), list(found.outputs)) == (Tier.DEFAULT, [[7.5]], ["sum"])
    assert [one.spec.name for one in found.wanted] == ["sum"]
    with pytest.raises(StoreUnavailable, match="the declared default has no output 'checked'"):
        await bench.ask(outputs=[{"name": "checked"}])


@pytest.mark.parametrize(
    ("key", "body", "says"),
    [
        (7, {}, "must be a string"),
        (True, {}, "must be a string"),
        ("a:p", {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}, "not both"),
        ("a:p", {"parameters": {"variant": 7}}, "'variant' must be a string"),
        ("a:p", {"outputs": [{"name": "z"}]}, "no output 'z'"),
    ],
)
async def test_what_makes_no_sense_is_refused(key: object, body: dict[str, Any], says: str) -> None:
    """With what to send instead."""
    with pytest.raises(InvalidRequest, match=says):
        await Bench().ask(key, **body)
