"""`GET /v1/predict/{model}/{key}` and `POST /v1/predict/{model}`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import msgspec
import orjson
from starlette.types import Receive, Scope, Send

from edge.answer import Ladder
from edge.api.arms import experiment_headers, experiment_member, query_of, split_query
from edge.api.asked_key import AskedKey, Context, read_key, shown
from edge.api.asked_one import PREFIX, One, parse_one
from edge.api.conditions import matches, wants_revalidation
from edge.api.headers import answer_headers, route_headers
from edge.api.problems import problem, send_problem, status_of
from edge.api.wire import JSON, Header, header, path_segments, read_body, send_response
from edge.ask import Answer, Ask
from edge.auto import MOST_MS, Auto, Wanted
from edge.experiments import Experiments
from edge.serving import Serving
from edge.stats import Stats
from precompute.errors import InvalidRequest, NearcastError, Overloaded
from precompute.models import AUTO, Key, Model
from precompute.predictor import Predictor
from precompute.settings import Settings

log = logging.getLogger(__name__)

#: `PREFIX` for those who lead here.
__all__ = ["PREFIX", "ManyRequest", "Predict"]


#: What answers a key, and with which predictor; and what else is said of the answer.
Answers = Callable[[Key], Awaitable[tuple[Answer, Predictor, bytes]]]


class ManyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /v1/predict/{model}`."""

    keys: list[str | AskedKey]
    context: Context = {}
    variant: str | None = None
    budget_ms: float | None = None


class Predict:
    """Both doors, as one ASGI application."""

    def __init__(
        self,
        ladder: Ladder,
        serving: Serving,
        stats: Stats,
        settings: Settings,
        count: Callable[[str, str], None],
        auto: Auto,
        experiments: Experiments,
    ) -> None:
        self._auto = auto
        self._experiments = experiments
        self._ladder = ladder
        self._serving = serving
        self._stats = stats
        self._settings = settings
        self._count = count
        self._decoder = msgspec.json.Decoder(ManyRequest)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; every failure is a problem document and the connection survives."""
        began = time.monotonic()
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
        model = self._serving.project.model(wanted.model)
        context, query = split_query(wanted.context, self._experiments.parameters(model.name))
        key = model.parse_key(wanted.key, context)
        dealt = None
        if wanted.variant is None:
            dealt = self._experiments.deal(model.name, key, scope["headers"], query)
        if dealt is None and is_routed(model, wanted.variant):
            await self._routed(scope, send, model, key, wanted, began, head=head)
            return
        predictor = dealt.predictor if dealt else self._serving.predictor(wanted.model, wanted.variant)
        ask = Ask(predictor, key, self._deadline(wanted.budget_ms), wants_revalidation(scope))
        answer = await self._ladder.answer(ask)
        self._count(wanted.model, key.text)
        took_s = time.monotonic() - began
        variant = predictor.servable.variant
        self._stats.answered(wanted.model, variant, answer.tier, took_s)
        if wanted.variant is not None:
            self._auto.measure(predictor, answer.tier, took_s)
        headers = answer_headers(answer, took_s)
        if wanted.variant is None:
            headers += experiment_headers(dealt.assigned if dealt else None, self._experiments.vary(model.name))
        if dealt is not None:
            self._experiments.answered(dealt, key, answer.tier, took_s)
        await self._give(scope, send, wanted.model, answer, headers, head=head)

    async def _routed(
        self, scope: Scope, send: Send, model: Model, key: Key, wanted: One, began: float, *, head: bool
    ) -> None:
        """As `_one`, with whichever variant suits."""
        budget_ms, named = self.budget_ms(wanted.budget_ms), self.named(scope)
        found = await self._auto.answer(Wanted(model, key, budget_ms, began, named, wants_revalidation(scope)))
        self._count(model.name, key.text)
        took_s = time.monotonic() - began
        answer = found.answer
        self._stats.answered(model.name, found.predictor.servable.variant, answer.tier, took_s)
        experiments = self._experiments.vary(model.name) if wanted.variant is None else ()
        varies_by = b", ".join(filter(None, (self._auto.header, *map(str.encode, experiments))))
        headers = [*answer_headers(answer, took_s), *route_headers(found.choice, varies_by)]
        await self._give(scope, send, model.name, answer, headers, head=head)

    async def _give(
        self, scope: Scope, send: Send, model: str, answer: Answer, headers: list[Header], *, head: bool
    ) -> None:
        if matches(scope, answer):
            self._stats.was_not_modified(model)
            await send({"type": "http.response.start", "status": 304, "headers": headers[1:]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await send_response(send, 200, headers, answer.body, head=head)

    async def _many(self, scope: Scope, receive: Receive, send: Send, segments: list[str], began: float) -> None:
        if len(segments) != 1:
            raise InvalidRequest(f"POST to {PREFIX}<model> with the keys in the body")
        request = self._decode(await read_body(scope, receive, self._settings.max_body_bytes))
        model = self._serving.project.model(segments[0])
        answers = self._answers(scope, model, request, began)
        if request.variant is None:
            answers = self._in_experiments(scope, model, request, began, answers)

        async def one(asked: str | AskedKey) -> bytes:
            try:
                key = read_key(model, asked, request.context)
                answer, predictor, more = await answers(key)
            except NearcastError as error:
                self.failed(model.name, error)
                return _problem_of(shown(asked), error)
            self._count(model.name, key.text)
            took_s = time.monotonic() - began
            self._stats.answered(model.name, predictor.servable.variant, answer.tier, took_s)
            age_s = answer.age_ms // 1000
            return b'{"status":200,"tier":"%b","age_s":%d,%b"prediction":%b}' % (
                answer.tier.encode(),
                age_s,
                more,
                answer.body,
            )

        # Started together, their reads and their live runs meet in the same turns of the loop: one MGET, one batch.
        parts = await asyncio.gather(*map(one, request.keys))
        head = b'{"model":' + orjson.dumps(model.name) + b',"predictions":['
        headers = [(b"content-type", JSON), (b"cache-control", b"no-store")]
        await send_response(send, 200, headers, head + b",".join(parts) + b"]}")

    def _answers(self, scope: Scope, model: Model, request: ManyRequest, began: float) -> Answers:
        """What answers each key of a request, and what else it says of the answer."""
        budget_ms, named = self.budget_ms(request.budget_ms), self.named(scope)
        if is_routed(model, request.variant):

            async def routed(key: Key) -> tuple[Answer, Predictor, bytes]:
                # How long one of many takes says nothing of how long one takes.
                found = await self._auto.answer(Wanted(model, key, budget_ms, began, named, is_alone=False))
                return found.answer, found.predictor, b"" if found.choice.fits else b'"over_budget":true,'

            return routed
        predictor = self._serving.predictor(model.name, request.variant)
        deadline = self._deadline(budget_ms)

        async def fixed(key: Key) -> tuple[Answer, Predictor, bytes]:
            return await self._ladder.answer(Ask(predictor, key, deadline)), predictor, b""

        return fixed

    def _in_experiments(
        self, scope: Scope, model: Model, request: ManyRequest, began: float, otherwise: Answers
    ) -> Answers:
        """What answers keys that take part in an experiment; the others go on as before."""
        query = query_of(scope, self._experiments.parameters(model.name))
        deadline = self._deadline(request.budget_ms)

        async def arms(key: Key) -> tuple[Answer, Predictor, bytes]:
            dealt = self._experiments.deal(model.name, key, scope["headers"], query)
            if dealt is None:
                return await otherwise(key)
            answer = await self._ladder.answer(Ask(dealt.predictor, key, deadline))
            self._experiments.answered(dealt, key, answer.tier, time.monotonic() - began)
            return answer, dealt.predictor, experiment_member(dealt.assigned)

        return arms

    def named(self, scope: Scope) -> str | None:
        """Who asks, as the request says it."""
        found = header(scope, self._auto.header) if self._auto.header else None
        return None if found is None else found.decode("latin-1").strip()

    def _decode(self, body: bytes) -> ManyRequest:
        try:
            request = self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidRequest(f'the body must be JSON like {{"keys": ["..."]}}: {error}') from None
        limit = self._settings.max_keys_per_request
        if not 1 <= len(request.keys) <= limit:
            raise InvalidRequest(f"a request holds 1 to {limit} keys, this one {len(request.keys)}")
        return request

    def budget_ms(self, budget_ms: float | None) -> float:
        """How long an answer may take, for a request that says so, or does not; raises InvalidRequest."""
        budget_ms = self._settings.budget_ms if budget_ms is None else budget_ms
        if not 0 < budget_ms <= MOST_MS:
            raise InvalidRequest(f"budget_ms must be above 0 and at most {MOST_MS:.0f}")
        return budget_ms

    def _deadline(self, budget_ms: float | None) -> float:
        budget_ms = self.budget_ms(budget_ms)
        return asyncio.get_running_loop().time() + budget_ms / 1000


def is_routed(model: Model, variant: str | None) -> bool:
    """Whether a request that names this variant, or none, gets the one that suits."""
    return variant == AUTO or (variant is None and model.is_routed)


def _problem_of(key: object, error: NearcastError) -> bytes:
    document = {"status": status_of(error), "key": key, "problem": problem(error)}
    try:
        return orjson.dumps(document)
    except TypeError:  # A lone surrogate, which JSON can carry in and UTF-8 cannot carry out.
        return orjson.dumps({**document, "key": str(key).encode("utf-8", "replace").decode()})
