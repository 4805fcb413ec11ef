"""`GET /v1/predict/{model}/{key}` and `POST /v1/predict/{model}`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

import msgspec
import orjson
from starlette.types import Receive, Scope, Send

from edge.answer import Ladder
from edge.api.asked_key import AskedKey, Context, read_key, shown
from edge.api.headers import answer_headers
from edge.api.problems import problem, send_problem, status_of
from edge.api.wire import JSON, decode_percent, decode_utf8, header, path_segments, read_body, send_response
from edge.ask import Answer, Ask
from edge.serving import Serving
from edge.stats import Stats, Tier
from precompute.context import RESERVED
from precompute.errors import InvalidContext, InvalidRequest, NearcastError, Overloaded
from precompute.settings import Settings

log = logging.getLogger(__name__)

PREFIX = "/v1/predict/"

#: Query parameters that are ours; all others are context.
_OURS = RESERVED


class ManyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /v1/predict/{model}`."""

    keys: list[str | AskedKey]
    context: Context = {}
    variant: str | None = None
    budget_ms: float | None = None


@dataclass(frozen=True, slots=True)
class One:
    """What a GET asks for: one prediction."""

    model: str
    key: str
    context: Mapping[str, object]
    variant: str | None
    budget_ms: float | None


class Predict:
    """Both doors, as one ASGI application."""

    def __init__(
        self,
        ladder: Ladder,
        serving: Serving,
        stats: Stats,
        settings: Settings,
        count: Callable[[str, str], None],
    ) -> None:
        self._ladder = ladder
        self._serving = serving
        self._stats = stats
        self._settings = settings
        self._count = count
        self._decoder = msgspec.json.Decoder(ManyRequest)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; every failure is a problem document and the connection survives."""
        began = time.perf_counter()
        head = scope["method"] == "HEAD"
        model = ""
        try:
            segments = path_segments(scope, PREFIX)
            model = segments[0] if segments[0] in self._serving.project.models else ""
            if scope["method"] == "POST":
                await self._many(scope, receive, send, segments, began)
            else:
                await self._one(scope, send, parse_one(scope, segments), began, head=head)
        except NearcastError as error:
            self.failed(model, error)
            await send_problem(send, error, head=head)
        except Exception:
            self._stats.failed(model, 500)
            raise

    def failed(self, model: str, error: NearcastError) -> None:
        """Counts a request that got no prediction."""
        status = status_of(error)
        self._stats.failed(model, status, shed=isinstance(error, Overloaded))
        if status == 500:
            log.error("cannot answer for model %s: %s", model, error)

    async def _one(self, scope: Scope, send: Send, wanted: One, began: float, *, head: bool) -> None:
        predictor = self._serving.predictor(wanted.model, wanted.variant)
        key = predictor.servable.model.parse_key(wanted.key, wanted.context)
        ask = Ask(predictor, key, self._deadline(wanted.budget_ms), _wants_revalidation(scope))
        answer = await self._ladder.answer(ask)
        self._count(wanted.model, key.text)
        took_s = time.perf_counter() - began
        self._stats.answered(wanted.model, predictor.servable.variant, answer.tier, took_s)
        headers = answer_headers(answer, took_s)
        if _matches(scope, answer):
            self._stats.was_not_modified(wanted.model)
            await send({"type": "http.response.start", "status": 304, "headers": headers[1:]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await send_response(send, 200, headers, answer.body, head=head)

    async def _many(self, scope: Scope, receive: Receive, send: Send, segments: list[str], began: float) -> None:
        if len(segments) != 1:
            raise InvalidRequest(f"POST to {PREFIX}<model> with the keys in the body")
        request = self._decode(await read_body(scope, receive, self._settings.max_body_bytes))
        predictor = self._serving.predictor(segments[0], request.variant)
        model = predictor.servable.model
        deadline = self._deadline(request.budget_ms)

        async def one(asked: str | AskedKey) -> bytes:
            try:
                key = read_key(model, asked, request.context)
                answer = await self._ladder.answer(Ask(predictor, key, deadline))
            except NearcastError as error:
                self.failed(model.name, error)
                return _problem_of(shown(asked), error)
            self._count(model.name, key.text)
            took_s = time.perf_counter() - began
            self._stats.answered(model.name, predictor.servable.variant, answer.tier, took_s)
            return b'{"status":200,"tier":"%s","prediction":%s}' % (answer.tier.encode(), answer.body)

        # Started together, their reads and their live runs meet in the same turns of the loop: one MGET, one batch.
        parts = await asyncio.gather(*map(one, request.keys))
        head = b'{"model":' + orjson.dumps(model.name) + b',"predictions":['
        headers = [(b"content-type", JSON), (b"cache-control", b"no-store")]
        await send_response(send, 200, headers, head + b",".join(parts) + b"]}")

    def _decode(self, body: bytes) -> ManyRequest:
        try:
            request = self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidRequest(f'the body must be JSON like {{"keys": ["..."]}}: {error}') from None
        limit = self._settings.max_keys_per_request
        if not 1 <= len(request.keys) <= limit:
            raise InvalidRequest(f"a request holds 1 to {limit} keys, this one {len(request.keys)}")
        return request

    def _deadline(self, budget_ms: float | None) -> float:
        budget_ms = self._settings.budget_ms if budget_ms is None else budget_ms
        if not 0 < budget_ms <= 60_000:
            raise InvalidRequest("budget_ms must be above 0 and at most 60000")
        return asyncio.get_running_loop().time() + budget_ms / 1000


def parse_one(scope: Scope, segments: list[str]) -> One:
    """Reads the path behind its prefix, and the query.

    Raises:
        InvalidRequest, InvalidContext: they are not written like this.
    """
    if len(segments) != 2 or not segments[1]:
        raise InvalidRequest(f"ask for one prediction with GET {PREFIX}<model>/<key>, for many with POST")
    ours: dict[str, str] = {}
    context: dict[str, object] = {}
    query: bytes = scope["query_string"]
    if query:
        for name, value in parse_qsl(_checked_query(query), keep_blank_values=True, max_num_fields=64):
            target = ours if name in _OURS else context
            if name in target:
                raise InvalidContext(f"{name!r} is given twice")
            target[name] = value
    return One(segments[0], segments[1], context, ours.get("variant"), _number(ours.get("budget_ms")))


def _checked_query(query: bytes) -> str:
    text = decode_utf8(query)
    decode_percent(text)
    if text.count("&") >= 64:
        raise InvalidContext("more than 64 query parameters")
    return text


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        raise InvalidRequest(f"budget_ms={text!r} is not a number") from None


def _wants_revalidation(scope: Scope) -> bool:
    return b"no-cache" in (header(scope, b"cache-control") or b"")


def _matches(scope: Scope, answer: Answer) -> bool:
    """Whether the client already has exactly this (RFC 9110: weak comparison)."""
    if answer.held is None or answer.tier is Tier.STALE:
        return False
    given = header(scope, b"if-none-match")
    if given is None:
        return False
    return given.strip() == b"*" or any(
        tag.strip().removeprefix(b"W/") == answer.held.etag for tag in given.split(b",")
    )


def _problem_of(key: object, error: NearcastError) -> bytes:
    document = {"status": status_of(error), "key": key, "problem": problem(error)}
    try:
        return orjson.dumps(document)
    except TypeError:  # A lone surrogate, which JSON can carry in and UTF-8 cannot carry out.
        return orjson.dumps({**document, "key": str(key).encode("utf-8", "replace").decode()})
