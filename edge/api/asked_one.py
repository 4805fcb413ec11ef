"""A GET of one prediction, as a client writes it: path and query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.types import Scope

from edge.api.wire import decode_percent, decode_utf8
from precompute.context import RESERVED
from precompute.errors import InvalidContext, InvalidRequest

PREFIX = "/v1/predict/"

#: Query parameters that are ours; all others are context.
_OURS = RESERVED


@dataclass(frozen=True, slots=True)
class One:
    """What a GET asks for: one prediction."""

    model: str
    key: str
    context: Mapping[str, object]
    variant: str | None
    budget_ms: float | None


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
