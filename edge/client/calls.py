"""What can be asked of an edge, as plain data: a request, and how its answer is read. No I/O.

All of it only reads: asking twice does what asking once does, so that every call may be tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from edge.client import replies
from edge.client.keys import Context, Key, KeyedBy, context_in_query, key_in_body, key_in_path
from edge.client.replies import Reply
from edge.contract.answers import Answer, Failure, Ranking, Scalar
from edge.contract.models import Model, ModelDetails

T = TypeVar("T")

#: The longest that an edge lets anybody wait.
_MOST_MS = 60_000


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and how to read its answer.

    Attributes:
        path: percent-encoded.
        body: what is sent as JSON; None for a GET.
        budgeted: whether the edge can be told how much time there is.
    """

    path: str
    read: Callable[[Reply], T]
    query: Mapping[str, str]
    body: Mapping[str, Any] | None = None
    budgeted: bool = False

    @property
    def method(self) -> str:
        """GET, unless there is a body."""
        return "GET" if self.body is None else "POST"

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    def content(self) -> bytes | None:
        """The bytes of the body."""
        return None if self.body is None else msgspec.json.encode(self.body)

    def within(self, left_s: float) -> Call[T]:
        """The same call, telling the edge how much time is left."""
        if not self.budgeted:
            return self
        budget_ms = round(min(left_s * 1000, _MOST_MS), 3)
        if self.body is not None:
            return replace(self, body={**self.body, "budget_ms": budget_ms})
        return replace(self, query={**self.query, "budget_ms": repr(budget_ms)})


def predict(model: str, key: Key, context: Context | None, variant: str | None) -> Call[Answer]:
    """One key."""
    query = {**context_in_query(context), **_named(variant)}
    path = f"/v1/predict/{quote(model, safe='')}/{key_in_path(key)}"
    return Call(path, replies.read_answer, query, budgeted=True)


def predict_many(
    model: str, keys: Sequence[Key | KeyedBy], context: Context | None, variant: str | None
) -> Call[list[Answer | Failure]]:
    """Several keys."""
    body = {"keys": [key_in_body(key) for key in keys], "context": dict(context or {}), **_named(variant)}
    return Call(f"/v1/predict/{quote(model, safe='')}", replies.read_many, {}, body, budgeted=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """What to rank by, and how much of it is wanted; as `POST /v1/rank/{model}` has it."""

    k: int = 10
    output: str | None = None
    pick: str | int | None = None
    order: Literal["descending", "ascending"] = "descending"


def rank(
    model: str,
    candidates: Mapping[str, Sequence[Scalar]],
    key: Mapping[str, str | int] | None,
    context: Context | None,
    variant: str | None,
    by: By,
) -> Call[Ranking]:
    """Many candidates."""
    body: dict[str, Any] = {
        "candidates": {name: list(column) for name, column in candidates.items()},
        "key": dict(key or {}),
        "context": dict(context or {}),
        "k": by.k,
        "output": by.output,
        "pick": by.pick,
        "order": by.order,
        **_named(variant),
    }
    return Call(f"/v1/rank/{quote(model, safe='')}", replies.read_ranking, {}, body, budgeted=True)


def why(model: str, key: Key, context: Context | None, variant: str | None) -> Call[dict[str, Any]]:
    """How one key would be answered."""
    query = {**context_in_query(context), **_named(variant)}
    return Call(f"/v1/why/{quote(model, safe='')}/{key_in_path(key)}", replies.read_explanation, query)


def models() -> Call[list[Model]]:
    """All models."""
    return Call("/v1/models", replies.read_models, {})


def model(name: str) -> Call[ModelDetails]:
    """One model."""
    return Call(f"/v1/models/{quote(name, safe='')}", replies.read_model, {})


def _named(variant: str | None) -> dict[str, str]:
    return {} if variant is None else {"variant": variant}
