"""`infer` with a `key` among the parameters: the way of every other prediction, told as tensors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec
from starlette.types import Scope

from edge.answer import Ladder
from edge.api.arms import query_of
from edge.api.conditions import wants_revalidation
from edge.api.oip.budget import budget_ms
from edge.api.oip.found import Found
from edge.api.oip.inputs import Parsed
from edge.api.oip.outputs import wanted_outputs
from edge.api.oip.shapes import Parameters
from edge.api.oip.targets import chosen_predictor, known, named_variant
from edge.api.predict import is_routed
from edge.api.wire import header
from edge.ask import Answer, Ask
from edge.auto import Auto
from edge.auto import Wanted as WantedKey
from edge.experiments import Experiments
from edge.serving import Serving
from precompute.errors import InvalidRequest, StoreUnavailable
from precompute.models import Model
from precompute.output_tensors import answer_specs, from_json
from precompute.predictor import Predictor
from precompute.settings import Settings


class _Body(msgspec.Struct):
    """What an answer of the ladder holds."""

    outputs: dict[str, msgspec.Raw]


class ByKey:
    """Answers one key."""

    def __init__(
        self,
        ladder: Ladder,
        serving: Serving,
        auto: Auto,
        experiments: Experiments,
        settings: Settings,
        counted: Callable[[str, str], None],
    ) -> None:
        """`counted` is told of each key that was asked for, with its model."""
        self._ladder = ladder
        self._serving = serving
        self._auto = auto
        self._experiments = experiments
        self._settings = settings
        self._counted = counted

    async def answer(self, scope: Scope, parsed: Parsed, model: str, version: str | None) -> Found:
        """The declared outputs of the key that is asked for.

        Raises:
            NearcastError: as the ladder, or routing; or what is asked for makes no sense.
        """
        text = parsed.parameters["key"]
        if not isinstance(text, str):
            raise InvalidRequest("parameter 'key' must be a string")
        if parsed.inputs:
            raise InvalidRequest("a request has a key or inputs, not both: what a key needs is read from its features")
        time_ms = budget_ms(parsed.parameters, self._settings.budget_ms)
        until = asyncio.get_running_loop().time() + time_ms / 1000
        asked = self._asked(scope, parsed, self._serving.project.model(model), version, time_ms)
        answer, predictor, parameters = await asked
        servable = await known(self._serving, predictor, until)
        wanted = wanted_outputs(parsed, answer_specs(servable.rules, servable.session.signature))
        outputs = msgspec.json.decode(answer.body, type=_Body).outputs
        # Only a declared default may lack some.
        missing = [one.spec.name for one in wanted if one.spec.name not in outputs]
        if missing and parsed.request.outputs:
            raise StoreUnavailable(f"no prediction just now, and the declared default has no output {missing[0]!r}")
        there = [one for one in wanted if one.spec.name not in missing]
        found = {one.spec.name: from_json(one.spec, bytes(outputs[one.spec.name])) for one in there}
        return Found(predictor, there, found, answer.tier, parameters)

    async def _asked(
        self, scope: Scope, parsed: Parsed, model: Model, version: str | None, time_ms: float
    ) -> tuple[Answer, Predictor, Parameters]:
        """The answer, who gave it, and what else there is to say of it."""
        began_s = time.monotonic()
        key, variant = model.parse_key(str(parsed.parameters["key"])), named_variant(parsed.parameters)
        again = wants_revalidation(scope)
        until = asyncio.get_running_loop().time() + time_ms / 1000
        if version is None and variant is None:
            query = query_of(scope, self._experiments.parameters(model.name))
            dealt = self._experiments.deal(model.name, key, scope["headers"], query)
            if dealt is not None:
                answer = await self._ladder.answer(Ask(dealt.predictor, key, until, again))
                self._counted(model.name, key.text)
                self._experiments.answered(dealt, key, answer.tier, time.monotonic() - began_s)
                arm = {"experiment": dealt.assigned.experiment.name, "arm": dealt.assigned.arm.name}
                return answer, dealt.predictor, {**arm}
        if version is None and is_routed(model, variant):
            who = header(scope, self._auto.header) if self._auto.header else None
            named = None if who is None else who.decode("latin-1").strip()
            routed = await self._auto.answer(WantedKey(model, key, time_ms, began_s, named, again))
            self._counted(model.name, key.text)
            return routed.answer, routed.predictor, {} if routed.choice.fits else {"over_budget": True}
        predictor = chosen_predictor(self._serving, model.name, version, parsed.parameters)
        answer = await self._ladder.answer(Ask(predictor, key, until, again))
        self._counted(model.name, key.text)
        if variant is not None:
            self._auto.measure(predictor, answer.tier, time.monotonic() - began_s)
        return answer, predictor, {}
