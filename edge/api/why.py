"""`GET /v1/why/{model}/{key}`: which tier would answer, and why not the nearer ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from edge.answer import Ladder
from edge.api.asked_one import parse_one
from edge.api.problems import send_problem
from edge.api.wire import path_segments, send_json
from edge.ask import Ask
from edge.held import Held
from edge.replica import Replica
from edge.serving import Serving
from edge.why import Explanation, Seen
from precompute.errors import EntryCorrupt, ModelUnavailable, NearcastError
from precompute.freshness import Freshness
from precompute.keys import hot_key, hot_state_key
from precompute.models import Key
from precompute.predictor import Plan, Predictor
from precompute.store import checked
from precompute.updates import Command, Reply

WHY = "/v1/why/"


class Why:
    """One ASGI application; looks at everything and changes nothing."""

    def __init__(
        self,
        ladder: Ladder,
        serving: Serving,
        replica: Replica,
        freshness: Freshness,
        lag_s: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        self._ladder = ladder
        self._serving = serving
        self._replica = replica
        self._freshness = freshness
        self._lag_s = lag_s
        self._now_ms = now_ms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        try:
            wanted = parse_one(scope, path_segments(scope, WHY))
            predictor = self._serving.predictor(wanted.model, wanted.variant)
            key = predictor.servable.model.parse_key(wanted.key, wanted.context)
            document = await self._explain(predictor, key)
        except NearcastError as error:
            await send_problem(send, error)
        else:
            await send_json(send, 200, document)

    async def _explain(self, predictor: Predictor, key: Key) -> dict[str, object]:
        servable = predictor.servable
        model = servable.model
        seen = await self._look(predictor, key)
        views = [self._serving.project.view(d.view) for d in model.dependencies]
        head = {
            "model": model.name,
            "key": key.text,
            "variant": servable.variant,
            "version": servable.version,
            "versions_ready": self._serving.ready(model.name),
            "lag_s": seen.lag_s if seen.lag_s < 1e9 else None,
            "replica_connected": self._replica.link.is_connected,
        }
        return {**head, **Explanation(model, key, views, self._freshness, seen).document()}

    async def _look(self, predictor: Predictor, key: Key) -> Seen:
        name, plan = Ask(predictor, key, 0.0).name, await self._plan(predictor, key)
        model = predictor.servable.model.name
        mine: list[Command] = [
            ("GET", name),
            ("PTTL", name),
            ("ZSCORE", hot_key(model), key.text),
            ("ZREVRANK", hot_key(model), key.text),
            ("HGET", hot_state_key(model), "total_per_s"),
        ]
        failure: NearcastError | None = None
        try:
            replies = await self._replica.run([*mine, *(plan.commands if isinstance(plan, Plan) else ())])
            value, lives_ms, rate, rank, total = map(checked, replies[: len(mine)])
            if isinstance(plan, Plan):
                outcome, rows = await self._outcome(predictor, plan, replies[len(mine) :])
            else:
                outcome, rows = plan, None
        except NearcastError as error:
            failure = outcome = error
            value = rate = rank = total = rows = None
            lives_ms = -1
        return Seen(
            now_ms=self._now_ms(),
            lag_s=self._lag_s(),
            memory=self._ladder.memory.peek(name),
            absent=self._ladder.absent.peek(name),
            replica=failure or self._stored(predictor, key, value),
            lives_ms=lives_ms,
            rows=rows,
            outcome=outcome,
            rate_per_s=None if rate is None else float(rate),
            rank=None if rank is None else rank + 1,
            total_per_s=float(total or 0),
        )

    async def _plan(self, predictor: Predictor, key: Key) -> Plan | ModelUnavailable:
        """What to read to compute it; or why there is no model to do that with."""
        try:
            await self._serving.awake(predictor)
            return predictor.plan([key])
        except ModelUnavailable as error:
            return error

    async def _outcome(
        self, predictor: Predictor, plan: Plan, replies: list[Reply]
    ) -> tuple[bytes | NearcastError, list[bytes | None]]:
        """What computing would give, and the rows it would read."""
        rows = next(reply for command, reply in zip(plan.commands, replies, strict=True) if command[0] == "MGET")
        try:
            # Elsewhere, because nobody knows how long it takes, and nobody waits for it but a curious person.
            batch = await asyncio.to_thread(predictor.complete, plan, replies, self._now_ms())
        except NearcastError as error:
            return error, checked(rows)
        return batch.bodies[0], checked(rows)

    def _stored(self, predictor: Predictor, key: Key, value: bytes | None) -> Held | NearcastError | None:
        if value is None:
            return None
        try:
            edition = self._ladder.editions.of(predictor.servable)
            return edition.read(edition.facts(key), value)
        except EntryCorrupt as error:
            return error
