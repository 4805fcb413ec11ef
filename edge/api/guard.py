"""The outermost layer: header limits, unknown paths and methods as problem documents, and no traceback for anybody."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import orjson
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.api import request_id
from edge.api.oip.errors import send_text
from edge.api.oip.paths import is_of_protocol
from edge.api.problems import PROBLEM_JSON, send_problem
from edge.api.wire import reason, send_response

log = logging.getLogger(__name__)

#: All header names and values of a request together.
MAX_HEADER_BYTES = 16 << 10
MAX_PATH_BYTES = 4 << 10


class Guard:
    """Wraps the routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a sane request on; answers everything else itself."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        named = request_id.begin(scope["headers"])
        size = sum([len(name) + len(value) for name, value in scope["headers"]])
        if size > MAX_HEADER_BYTES:
            await _refuse(scope, send, 431, f"the headers have {size:,} bytes; the limit is {MAX_HEADER_BYTES:,}")
        elif len(scope.get("raw_path", b"")) + len(scope["query_string"]) > MAX_PATH_BYTES:
            await _refuse(scope, send, 414, f"the path and query are longer than {MAX_PATH_BYTES:,} bytes")
        else:
            await self._passed_on(scope, receive, send, named)

    async def _passed_on(self, scope: Scope, receive: Receive, send: Send, named: str) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            if named and not started and message["status"] < 400:
                message = {**message, "headers": [*message["headers"], (request_id.NAME, named.encode())]}
            started = True
            await send(message)

        # Starlette then raises for unknown paths and methods instead of answering in plain text.
        scope["app"] = self
        try:
            await self._app(scope, receive, watched)
        except HTTPException as error:
            await _refuse(scope, send, error.status_code, error.detail, error.headers)
        except Exception as error:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if started:
                raise
            await send_problem(send, error)


async def _refuse(scope: Scope, send: Send, status: int, detail: str, extra: Mapping[str, str] | None = None) -> None:
    if is_of_protocol(scope["path"]):
        await send_text(send, status, detail)
        return
    name = request_id.current()
    document = {"type": "about:blank", "title": reason(status), "status": status, "detail": detail, "request_id": name}
    headers = [(b"content-type", PROBLEM_JSON), (b"cache-control", b"no-store"), (request_id.NAME, name.encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in (extra or {}).items()]
    await send_response(send, status, headers, orjson.dumps(document))
