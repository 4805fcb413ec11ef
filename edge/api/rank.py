"""`POST /v1/rank/{model}`: the best of many candidates, each predicted as it would be alone.

What differs between candidates, a part of the key or a request-time feature, stands in columns; what they share stands
beside them. A candidate that has no prediction is named with the reason, and the others are ranked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
from starlette.types import Receive, Scope, Send

from edge.answer import Ladder
from edge.api.arms import experiment_headers, query_of
from edge.api.asked_key import Context
from edge.api.predict import Predict, is_routed
from edge.api.problems import problem, send_problem, status_of
from edge.api.wire import JSON, path_segments, read_body, send_response
from edge.ask import Answer, Ask
from edge.auto import Auto
from edge.experiments import Dealt, Experiments
from edge.ranking import Order, Ranked, Ranking
from edge.scores import Score
from edge.serving import Serving
from edge.stats import Stats
from edge.together import answer_together
from precompute.errors import DeadlineExceeded, InvalidRequest, NearcastError
from precompute.key_columns import compose_keys
from precompute.outputs import OutputRule
from precompute.predictor import Predictor
from precompute.settings import Settings

RANK = "/v1/rank/"
#: Unlike orjson's, it writes integers of any size: what comes in as a candidate can go out as one.
_JSON = msgspec.json.encode


class RankRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body.

    Attributes:
        candidates: by name, raw parts of the key or request-time features, one value for each candidate.
        key: raw values of the other parts.
        context: values of the other request-time features.
        k: how many are wanted.
        output: what to rank by; may be left out where the model has only one.
        pick: which of its values, where it has several: a label or a position.
        order: the greatest first (`descending`), or the least.
    """

    candidates: dict[str, list[str | int | float | bool]]
    key: dict[str, str | int] = {}
    context: Context = {}
    k: int = 10
    output: str | None = None
    pick: str | int | None = None
    order: Order = "descending"
    variant: str | None = None
    budget_ms: float | None = None


class Wanted(NamedTuple):
    """A request that makes sense: whom to ask, for what, and until when by the event loop's clock.

    `fits` says whether whom to ask is expected to answer in time; `dealt` by which experiment it was chosen.
    """

    predictor: Predictor
    ranking: Ranking
    score: Score
    deadline: float
    fits: bool
    dealt: Dealt | None


class Rank:
    """One ASGI application."""

    def __init__(
        self,
        ladder: Ladder,
        serving: Serving,
        stats: Stats,
        settings: Settings,
        count: Callable[[str, str], None],
        predict: Predict,
        auto: Auto,
        experiments: Experiments,
    ) -> None:
        """`count` is told of each key that was answered; budgets, users and failures are as `predict` has them."""
        self._predict = predict
        self._auto = auto
        self._experiments = experiments
        self._ladder = ladder
        self._serving = serving
        self._stats = stats
        self._settings = settings
        self._count = count
        self._decoder = msgspec.json.Decoder(RankRequest)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        began = time.perf_counter()
        model = ""
        try:
            segments = path_segments(scope, RANK)
            model = segments[0] if segments[0] in self._serving.project.models else ""
            if len(segments) != 1:
                raise InvalidRequest(f"POST to {RANK}<model> with the candidates in the body")
            request = self._decode(await read_body(scope, receive, self._settings.max_body_bytes))
            wanted = await self._wanted(scope, segments[0], request)
        except NearcastError as error:
            self._predict.failed(model, error)
            await send_problem(send, error)
            return
        try:
            answers = await self._predicted(wanted, began)
            best = wanted.ranking.best(answers, wanted.score, request.k, request.order)
        except NearcastError as error:
            # Its candidates have been counted already, each by what became of it.
            await send_problem(send, error)
            return
        took_s = time.perf_counter() - began
        timing = (b"server-timing", b"rank;dur=%.3f" % (took_s * 1000))
        headers = [(b"content-type", JSON), (b"cache-control", b"no-store"), timing]
        if wanted.dealt is not None:
            headers += experiment_headers(wanted.dealt.assigned, ())
            position, answer = next(iter(answers.items()))
            self._experiments.answered(wanted.dealt, wanted.ranking.keys[position], answer.tier, took_s)
        await send_response(send, 200, headers, _body(wanted, request, best))

    def _decode(self, body: bytes) -> RankRequest:
        try:
            request = self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            example = '{"candidates": {"item": ["...", "..."]}, "key": {"user": "..."}, "k": 10}'
            raise InvalidRequest(f"the body must be JSON like {example}: {error}") from None
        limit, most = self._settings.max_keys_per_request, max(map(len, request.candidates.values()), default=0)
        if not 1 <= most <= limit:
            raise InvalidRequest(f"a request holds 1 to {limit} candidates, this one {most}")
        if not 1 <= request.k <= limit:
            raise InvalidRequest(f"k must be 1 to {limit}, not {request.k}")
        return request

    async def _wanted(self, scope: Scope, name: str, request: RankRequest) -> Wanted:
        model = self._serving.project.model(name)
        budget_ms = self._predict.budget_ms(request.budget_ms)
        ranking = Ranking(request.candidates, compose_keys(model, request.key, request.candidates, request.context))
        fits, dealt = True, None
        if request.variant is None:
            query = query_of(scope, self._experiments.parameters(name))
            dealt = self._experiments.deal_all(name, ranking.keys.values(), scope["headers"], query)
        if dealt is not None:
            predictor = dealt.predictor
        elif is_routed(model, request.variant):
            # One variant for all: what two models say of two candidates cannot be compared.
            predictor, choice = await self._auto.for_all(model, budget_ms, self._predict.named(scope))
            fits = choice.fits
            # An answer that says that it is late, rather than none; as for a single prediction.
            budget_ms = choice.budget_ms if fits else max(choice.budget_ms, self._settings.budget_ms)
        else:
            predictor = self._serving.predictor(name, request.variant)
        deadline = asyncio.get_running_loop().time() + budget_ms / 1000
        score = Score.among(await self._rules(predictor, deadline), request.output, request.pick)
        return Wanted(predictor, ranking, score, deadline, fits, dealt)

    async def _rules(self, predictor: Predictor, deadline: float) -> Sequence[OutputRule]:
        """The outputs there are; of a model that declares none, its file has to say."""
        if predictor.servable.rules:
            return predictor.servable.rules
        try:
            async with asyncio.timeout_at(deadline):
                return (await self._serving.known(predictor)).rules
        except TimeoutError:
            raise DeadlineExceeded(f"model {predictor.servable.model.name!r} was not loaded in time") from None

    async def _predicted(self, wanted: Wanted, began: float) -> dict[int, Answer]:
        """Answers by position; what has none is among the failed."""
        ranking, model = wanted.ranking, wanted.predictor.servable.model.name
        for error in ranking.failed.values():
            self._predict.failed(model, error)
        asks = [Ask(wanted.predictor, key, wanted.deadline) for key in ranking.keys.values()]
        outcomes = await answer_together(self._ladder, asks)
        took_s = time.perf_counter() - began
        answers: dict[int, Answer] = {}
        for (position, key), outcome in zip(ranking.keys.items(), outcomes, strict=True):
            if isinstance(outcome, Answer):
                answers[position] = outcome
                self._count(model, key.text)
                self._stats.answered(model, wanted.predictor.servable.variant, outcome.tier, took_s)
            elif isinstance(outcome, NearcastError):
                ranking.failed[position] = outcome
                self._predict.failed(model, outcome)
            else:
                self._stats.failed(model, 500)
                raise outcome
        return answers


def _body(wanted: Wanted, request: RankRequest, best: list[Ranked]) -> bytes:
    servable, ranking = wanted.predictor.servable, wanted.ranking
    head = {
        "model": servable.model.name,
        "version": servable.version,
        "variant": servable.variant,
        "output": wanted.score.output,
        "order": request.order,
        "candidates": ranking.size,
        "duplicates": ranking.duplicates,
        "over_budget": not wanted.fits,
    }
    parts = [
        b'{"candidate":%b,"score":%b,"tier":"%b","age_s":%d,"prediction":%b}'
        % (
            _JSON(ranking.candidate(one.position)),
            _JSON(one.score),
            one.answer.tier.encode(),
            one.answer.age_ms // 1000,
            one.answer.body,
        )
        for one in best
    ]
    unranked = [
        {"candidate": ranking.candidate(position), "status": status_of(error), "problem": problem(error)}
        for position, error in sorted(ranking.failed.items())
    ]
    return b'%b,"ranked":[%b],"unranked":%b}' % (_JSON(head)[:-1], b",".join(parts), _JSON(unranked))
