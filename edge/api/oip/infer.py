"""`infer`: predictions of a key, or of tensors that the request brings along.

The request's `id` is given back and means nothing else.
"""

from __future__ import annotations

import time
from typing import Any

from starlette.types import Receive, Scope

from edge.api.oip.aside import LARGE_BYTES, elsewhere
from edge.api.oip.by_key import ByKey
from edge.api.oip.by_tensors import ByTensors
from edge.api.oip.compression import folded, read_decoded
from edge.api.oip.found import Found
from edge.api.oip.inputs import Parsed, parse
from edge.api.oip.outputs import response_body
from edge.api.oip.reply import NO_STORE, Reply, timing
from edge.api.oip.shapes import Parameters
from edge.api.wire import JSON, Header, header
from edge.stats import Stats, Tier
from precompute.errors import InvalidRequest

_OCTETS = b"application/octet-stream"
_LENGTH = b"inference-header-content-length"
#: Parameters that would change an answer, of extensions that are not served.
_REFUSED = ("sequence_id", "sequence_start", "sequence_end")


class Infer:
    """Answers `infer` of any model."""

    def __init__(self, by_key: ByKey, by_tensors: ByTensors, stats: Stats, max_body_bytes: int) -> None:
        self._by_key = by_key
        self._by_tensors = by_tensors
        self._stats = stats
        self._max_body_bytes = max_body_bytes

    async def answer(self, scope: Scope, receive: Receive, model: str, version: str | None) -> Reply:
        """The response. Raises NearcastError: why there is none."""
        began = time.perf_counter()
        body = await read_decoded(scope, receive, self._max_body_bytes)
        parsed = await elsewhere(len(body) > LARGE_BYTES, parse, body, header(scope, _LENGTH))
        _refuse_extensions(parsed.parameters)
        if "key" in parsed.parameters:
            found = await self._by_key.answer(scope, parsed, model, version)
        else:
            found = await self._by_tensors.answer(parsed, model, version)
        large = sum(array.nbytes for array in found.outputs.values()) > LARGE_BYTES
        head = _head(found, parsed)
        content, json_length = await elsewhere(large, response_body, head, found.wanted, found.outputs)
        took_s = time.perf_counter() - began
        self._stats.answered(model, found.predictor.servable.variant, found.tier, took_s)
        content, encoding = await folded(scope, content)
        return Reply([*_headers(json_length), timing(found.tier, took_s), *encoding], content)


def _refuse_extensions(parameters: Parameters) -> None:
    for name in _REFUSED:
        if parameters.get(name):
            raise InvalidRequest(f"parameter {name!r}: sequences are not served")


def _head(found: Found, parsed: Parsed) -> dict[str, Any]:
    servable = found.predictor.servable
    head: dict[str, Any] = {"model_name": servable.model.name, "model_version": str(servable.version)}
    if parsed.request.id is not None:
        head["id"] = parsed.request.id
    head["parameters"] = {"tier": found.tier.value, "variant": servable.variant, **found.parameters}
    if found.tier in (Tier.STALE, Tier.DEFAULT):
        head["parameters"]["stale"] = True
    return head


def _headers(json_length: int | None) -> list[Header]:
    if json_length is None:
        return [(b"content-type", JSON), NO_STORE]
    return [(b"content-type", _OCTETS), NO_STORE, (_LENGTH, b"%d" % json_length)]
