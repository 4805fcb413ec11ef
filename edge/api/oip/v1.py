"""KServe's v1 door, `POST /v1/models/{model}:predict`: rows in, predictions out, computed like tensors of v2."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import count

import orjson
from starlette.types import Receive, Scope

from edge.api.oip.aside import LARGE_BYTES, elsewhere
from edge.api.oip.by_tensors import ByTensors
from edge.api.oip.compression import folded, read_decoded
from edge.api.oip.instances import feeds_of_instances, predictions
from edge.api.oip.reply import NO_STORE, Reply, timing
from edge.api.oip.targets import known
from edge.api.wire import JSON
from edge.serving import Serving
from edge.stats import Stats, Tier
from edge.tensor_lane import GivenRows, Outputs
from precompute.output_tensors import AnswerSpec, answer_specs
from precompute.settings import Settings


class V1Predict:
    """Answers with the default variant of any model."""

    def __init__(self, by_tensors: ByTensors, serving: Serving, stats: Stats, settings: Settings) -> None:
        self._by_tensors = by_tensors
        self._serving = serving
        self._stats = stats
        self._settings = settings
        self._unique = count()

    async def answer(self, scope: Scope, receive: Receive, model: str) -> Reply:
        """The response. Raises NearcastError: why there is none."""
        began = time.perf_counter()
        predictor = self._serving.predictor(model)
        body = await read_decoded(scope, receive, self._settings.max_body_bytes)
        until = asyncio.get_running_loop().time() + self._settings.budget_ms / 1000
        servable = await known(self._serving, predictor, until)
        large, most = len(body) > LARGE_BYTES, self._settings.max_keys_per_request
        feeds, rows = await elsewhere(large, feeds_of_instances, body, servable.session.signature, most)
        given = GivenRows(f"v1:{next(self._unique)}", feeds, rows)
        outputs = await self._by_tensors.computed(predictor, given, until)
        specs = answer_specs(servable.rules, servable.session.signature)
        large = sum(array.nbytes for array in outputs.values()) > LARGE_BYTES
        written = await elsewhere(large, _document, specs, outputs)
        took_s = time.perf_counter() - began
        self._stats.answered(model, servable.variant, Tier.LIVE, took_s)
        content, encoding = await folded(scope, written)
        return Reply([(b"content-type", JSON), NO_STORE, timing(Tier.LIVE, took_s), *encoding], content)


def _document(specs: Sequence[AnswerSpec], outputs: Outputs) -> bytes:
    return orjson.dumps({"predictions": predictions(specs, outputs)}, option=orjson.OPT_SERIALIZE_NUMPY)
