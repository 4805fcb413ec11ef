"""The client for event loops; the same as `edge.client.blocking`, awaited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from edge.client import calls, transport
from edge.client.attempts import Attempts, Patience
from edge.client.calls import By, Call
from edge.client.keys import Context, Key, KeyedBy
from edge.client.replies import error_of
from edge.contract.answers import Answer, Failure, Ranking, Scalar
from edge.contract.models import Model, ModelDetails

T = TypeVar("T")


class AsyncClient:
    """Asks one edge, or whatever stands in front of several; may be shared by tasks.

    Every method takes `deadline_s`: how long the caller waits, all attempts together. The edge is told, and answers in
    that time with what it has. Without one the edge's own budget holds, and memory hits take their shortest way.
    Predictions and rankings take `headers`, for example the one that says whose request it is. Each raises
    `edge.client.errors.ClientError` where there is no answer.

    Attributes:
        retries: attempts that were made because others failed.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8300",
        *,
        headers: Mapping[str, str] | None = None,
        patience: Patience | None = None,
        most_connections: int = 100,
    ) -> None:
        """`headers` are sent with each request."""
        self._http = httpx.AsyncClient(**transport.options(url, headers, most_connections))
        self._patience = patience or Patience()
        self.retries = 0

    async def predict(
        self,
        model: str,
        key: Key,
        *,
        context: Context | None = None,
        variant: str | None = None,
        deadline_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The prediction of one key: its text, or its raw parts in order."""
        return await self._ask(calls.predict(model, key, context, variant), deadline_s, headers)

    async def predict_many(
        self,
        model: str,
        keys: Sequence[Key | KeyedBy],
        *,
        context: Context | None = None,
        variant: str | None = None,
        deadline_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> list[Answer | Failure]:
        """Predictions of several keys, in their order; a key without one costs the others nothing."""
        return await self._ask(calls.predict_many(model, keys, context, variant), deadline_s, headers)

    async def rank(
        self,
        model: str,
        candidates: Mapping[str, Sequence[Scalar]],
        *,
        key: Mapping[str, str | int] | None = None,
        context: Context | None = None,
        variant: str | None = None,
        by: By | None = None,
        deadline_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Ranking:
        """The best candidates: columns of raw parts of the key, or of context; `key` and `context` hold for all."""
        return await self._ask(calls.rank(model, candidates, key, context, variant, by or By()), deadline_s, headers)

    async def why(
        self,
        model: str,
        key: Key,
        *,
        context: Context | None = None,
        variant: str | None = None,
        deadline_s: float | None = None,
    ) -> dict[str, Any]:
        """Which tier would answer a key now, and why not the nearer ones."""
        return await self._ask(calls.why(model, key, context, variant), deadline_s)

    async def models(self, *, deadline_s: float | None = None) -> list[Model]:
        """All models of the project, and how they do."""
        return await self._ask(calls.models(), deadline_s)

    async def model(self, name: str, *, deadline_s: float | None = None) -> ModelDetails:
        """One model with its versions."""
        return await self._ask(calls.model(name), deadline_s)

    async def close(self) -> None:
        """Closes all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, call: Call[T], deadline_s: float | None, headers: Mapping[str, str] | None = None) -> T:
        attempts = Attempts(self._patience, deadline_s)
        try:
            async for attempt in attempts.contexts():
                with attempt:
                    return await self._once(call, attempts, headers)
        finally:
            self.retries += max(0, attempts.retries)
        raise AssertionError("unreachable")

    async def _once(self, call: Call[T], attempts: Attempts, headers: Mapping[str, str] | None) -> T:
        left_s = attempts.left_s()
        told = call.within(left_s) if attempts.has_deadline else call
        try:
            reply = transport.reply(await self._http.request(**transport.parameters(told, left_s, headers)))
        except httpx.RequestError as error:
            raise transport.unreachable(call, error) from error
        if (problem := error_of(reply)) is not None:
            raise problem
        return call.read(reply)
