"""Keys for examples: those that are asked for most and those that the project names, as far as they have an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from edge.answer import Ladder
from edge.ask import Answer, Ask
from edge.replica import Replica
from edge.stats import Tier
from edge.together import answer_together
from precompute.errors import PermanentError, TransientError
from precompute.keys import hot_key
from precompute.models import Key, Model
from precompute.predictor import Predictor
from precompute.store import checked
from precompute.updates import Command

#: Examples of a model.
MOST = 3
#: Hot keys that are tried for them.
_TRIED = 6
#: What has no answer by then is no example.
_WITHIN_S = 1.0


class ExampleKeys:
    """Looks for examples as a client would: by asking. They are not counted as asked for."""

    def __init__(self, ladder: Ladder, replica: Replica) -> None:
        self._ladder = ladder
        self._replica = replica

    async def find(self, predictors: Sequence[Predictor]) -> Mapping[str, Sequence[Key]]:
        """Up to `MOST` keys by model."""
        hot = await self._hot([predictor.servable.model.name for predictor in predictors])
        deadline = asyncio.get_running_loop().time() + _WITHIN_S
        found: dict[str, list[Key]] = {}
        for predictor in predictors:
            model = predictor.servable.model
            keys = _parsed(model, [*hot.get(model.name, ()), *model.examples])
            found[model.name] = await self._answered(predictor, keys, deadline)
        return found

    async def _hot(self, models: Sequence[str]) -> dict[str, list[str]]:
        commands: list[Command] = [("ZREVRANGE", hot_key(model), 0, _TRIED - 1) for model in models]
        try:
            replies = [checked(reply) for reply in await self._replica.run(commands)]
        except TransientError:
            return {}
        return {model: [key.decode() for key in reply] for model, reply in zip(models, replies, strict=True)}

    async def _answered(self, predictor: Predictor, keys: Sequence[Key], deadline: float) -> list[Key]:
        if not keys:
            return []
        outcomes = await answer_together(self._ladder, [Ask(predictor, key, deadline) for key in keys])
        good = [
            key
            for key, outcome in zip(keys, outcomes, strict=True)
            if isinstance(outcome, Answer) and outcome.tier is not Tier.DEFAULT
        ]
        return good[:MOST]


def _parsed(model: Model, texts: Iterable[str]) -> list[Key]:
    """Keys that fit the declaration, which may have changed since they were counted."""
    keys: dict[str, Key] = {}
    for text in texts:
        try:
            key = model.parse_key(text)
        except PermanentError:
            continue
        keys.setdefault(key.text, key)
    return list(keys.values())
