"""`infer` with tensors: computed live, in the batches and under the limits that keys have.

Those that were asked before may be remembered by content, where a node is told to (`response_cache_bytes`).
"""

from __future__ import annotations

import asyncio
from itertools import count

from edge.api.oip.aside import LARGE_BYTES, elsewhere
from edge.api.oip.budget import budget_ms
from edge.api.oip.found import Found
from edge.api.oip.inputs import Parsed, feeds_of
from edge.api.oip.outputs import wanted_outputs
from edge.api.oip.response_cache import ResponseCache, digest
from edge.api.oip.targets import chosen_predictor, known
from edge.deadlines import Deadlines
from edge.held import Held
from edge.live import Live
from edge.serving import Serving
from edge.stats import Tier
from edge.tensor_lane import GivenRows, Outputs
from precompute.errors import DeadlineExceeded
from precompute.output_tensors import answer_specs
from precompute.predictor import Predictor
from precompute.settings import Settings


class ByTensors:
    """Answers what a request brings along."""

    def __init__(self, live: Live[Held], serving: Serving, settings: Settings) -> None:
        self._live = live
        self._serving = serving
        self._settings = settings
        self._deadlines = Deadlines()
        self._unique = count()
        size = settings.response_cache_bytes
        self.cache = ResponseCache(size) if size else None

    async def answer(self, parsed: Parsed, model: str, version: str | None) -> Found:
        """The declared outputs of some rows; of the default variant, unless another is named.

        Raises:
            NearcastError: what is asked for makes no sense, cannot be computed, or not now.
        """
        predictor = chosen_predictor(self._serving, model, version, parsed.parameters)
        until = asyncio.get_running_loop().time() + budget_ms(parsed.parameters, self._settings.budget_ms) / 1000
        servable = await known(self._serving, predictor, until)
        wanted = wanted_outputs(parsed, answer_specs(servable.rules, servable.session.signature))
        most = self._settings.max_keys_per_request
        feeds, rows = await elsewhere(parsed.size > LARGE_BYTES, feeds_of, parsed, servable.session.signature, most)
        if self.cache is None:
            outputs = await self.computed(predictor, GivenRows(str(next(self._unique)), feeds, rows), until)
            return Found(predictor, wanted, outputs, Tier.LIVE)
        names = [one.spec.name for one in wanted]
        name = await elsewhere(parsed.size > LARGE_BYTES, digest, servable, names, feeds)
        kept = self.cache.get(name)
        if kept is not None:
            return Found(predictor, wanted, kept, Tier.MEMORY)
        outputs = await self.computed(predictor, GivenRows(name, feeds, rows), until)
        self.cache.put(name, {output: outputs[output] for output in names})
        return Found(predictor, wanted, outputs, Tier.LIVE)

    async def computed(self, predictor: Predictor, given: GivenRows, until: float) -> Outputs:
        """The declared outputs of some rows, by that time of the event loop.

        Raises:
            PermanentError: the model cannot take them.
            Overloaded, DeadlineExceeded: not now.
        """
        try:
            (outcome,) = await self._deadlines.within(self._live.run(predictor, given), until)
        except TimeoutError:
            raise DeadlineExceeded("no answer within the budget") from None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome
