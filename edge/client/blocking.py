"""The client for threads."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from edge.client import calls, transport
from edge.client.attempts import Attempts, Patience
from edge.client.calls import By, Call
from edge.client.keys import Context, Key, KeyedBy
from edge.client.replies import Reply, error_of
from edge.contract.answers import Answer, Failure, Ranking, Scalar
from edge.contract.models import Model, ModelDetails

T = TypeVar("T")


class Client:
    """Asks one edge, or whatever stands in front of several; may be shared by threads.

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
        self._http = httpx.Client(**transport.options(url, headers, most_connections))
        self._patience = patience or Patience()
        self.retries = 0
        self._counting = threading.Lock()

    def predict(
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
        return self._ask(calls.predict(model, key, context, variant), deadline_s, headers)

    def predict_many(
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
        return self._ask(calls.predict_many(model, keys, context, variant), deadline_s, headers)

    def rank(
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
        return self._ask(calls.rank(model, candidates, key, context, variant, by or By()), deadline_s, headers)

    def why(
        self,
        model: str,
        key: Key,
        *,
        context: Context | None = None,
        variant: str | None = None,
        deadline_s: float | None = None,
    ) -> dict[str, Any]:
        """Which tier would answer a key now, and why not the nearer ones."""
        return self._ask(calls.why(model, key, context, variant), deadline_s)

    def models(self, *, deadline_s: float | None = None) -> list[Model]:
        """All models of the project, and how they do."""
        return self._ask(calls.models(), deadline_s)

    def model(self, name: str, *, deadline_s: float | None = None) -> ModelDetails:
        """One model with its versions."""
        return self._ask(calls.model(name), deadline_s)

    def close(self) -> None:
        """Closes all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, call: Call[T], deadline_s: float | None, headers: Mapping[str, str] | None = None) -> T:
        attempts = Attempts(self._patience, deadline_s)
        try:
            for attempt in attempts.contexts():
                with attempt:
                    return self._once(call, attempts, headers)
        finally:
            if attempts.retries > 0:
                with self._counting:
                    self.retries += attempts.retries
        raise AssertionError("unreachable")

    def _once(self, call: Call[T], attempts: Attempts, headers: Mapping[str, str] | None) -> T:
        reply = self._reply(call, attempts, headers)
        if (problem := error_of(reply)) is not None:
            raise problem
        return call.read(reply)

    def _reply(self, call: Call[T], attempts: Attempts, headers: Mapping[str, str] | None) -> Reply:
        """Asked for again at once, while there is time, where our own pool took the connection away."""
        while True:
            left_s = attempts.left_s()
            told = call.within(left_s) if attempts.has_deadline else call
            try:
                return transport.reply(self._http.request(**transport.parameters(told, left_s, headers)))
            except httpx.RequestError as error:
                if not transport.was_taken_away(error):
                    raise transport.unreachable(call, error) from error
