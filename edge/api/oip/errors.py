"""Errors as the protocol's clients read them: `{"error": "text"}`, whatever the status."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import orjson
from starlette.exceptions import HTTPException
from starlette.types import Send

from edge.api import request_id
from edge.api.authority import WrongToken
from edge.api.problems import problem, retry_after, status_of
from edge.api.wire import JSON, Header, send_response
from precompute.errors import NearcastError

log = logging.getLogger(__name__)

_CHALLENGE: Header = (b"www-authenticate", b'Bearer realm="nearcast"')


async def send_error(send: Send, error: Exception) -> None:
    """Answers with what went wrong; the statuses are those of `problems`."""
    if isinstance(error, HTTPException):
        extra = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
        await send_text(send, error.status_code, error.detail, extra)
        return
    if not isinstance(error, NearcastError):
        log.error("a request failed", exc_info=error)
    headers = [*retry_after(error), *([_CHALLENGE] if isinstance(error, WrongToken) else [])]
    await send_text(send, status_of(error), str(problem(error)["detail"]), headers)


async def send_text(send: Send, status: int, text: str, extra: Iterable[Header] = ()) -> None:
    """One error, with the name of its request."""
    name = request_id.current().encode()
    headers = [(b"content-type", JSON), (b"cache-control", b"no-store"), (request_id.NAME, name), *extra]
    # A lone surrogate can come in by JSON, and cannot go out as UTF-8.
    body = orjson.dumps({"error": text.encode("utf-8", "replace").decode()})
    await send_response(send, status, headers, body)
