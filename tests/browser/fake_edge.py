"""An edge with the real page and made-up numbers: whatever a test wants the page to meet."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from deploy.local.ports import free_port
from edge.dashboard.page import Page
from tests.browser import sample
from tests.browser.explained import explanation
from tests.waiting import wait_until

Document = dict[str, Any]
TOKEN = "open sesame"
_PULSE_S = 0.05


class FakeEdge:
    """What the page asks, and what it is told.

    Attributes:
        changes: laid over each document.
        streams: whether the live stream may be opened.
        asked: the query of each request for numbers.
        listeners: how many streams have been opened.
        ran: the jobs that the page has had run.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.changes: Document = {}
        self.streams = True
        self.asked: list[dict[str, str]] = []
        self.listeners = 0
        self.ran: list[str] = []
        self._pushed: list[Document] = []

    def push(self, document: Document) -> None:
        """Sends a document to every page that listens by now."""
        self._pushed.append(document)

    def document(self, query: dict[str, str]) -> Document:
        """The numbers for one query."""
        found = sample.document(range_s=int(query["range_s"]), node=query.get("node"))
        return found | self.changes

    def application(self) -> Starlette:
        """The page, and its doors."""
        return Starlette(
            routes=[
                *Page().routes(),
                Route("/dashboard/data", self._data),
                Route("/dashboard/live", self._live),
                Route("/dashboard/jobs/{name}/run", self._run, methods=["POST"]),
                Route("/v1/why/{model}/{key:path}", self._why),
            ]
        )

    async def _data(self, request: Request) -> Response:
        self.asked.append(dict(request.query_params))
        return JSONResponse(self.document(dict(request.query_params)))

    async def _live(self, request: Request) -> Response:
        if not self.streams:
            return JSONResponse({"detail": "too many listeners"}, 503)
        return StreamingResponse(self._events(request), media_type="text/event-stream")

    async def _events(self, request: Request) -> AsyncIterator[bytes]:
        sent = len(self._pushed)
        yield b": here\n\n"
        self.listeners += 1
        while not await request.is_disconnected():
            while sent < len(self._pushed):
                yield b"event: data\ndata: " + orjson.dumps(self._pushed[sent]) + b"\n\n"
                sent += 1
            await asyncio.sleep(_PULSE_S)

    async def _run(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"detail": "this needs the admin token"}, 401)
        self.ran.append(request.path_params["name"])
        return JSONResponse({"run": "1"}, 202)

    async def _why(self, request: Request) -> Response:
        model, key = request.path_params["model"], request.path_params["key"]
        if model == "unknown":
            return JSONResponse({"detail": f"there is no model {model!r}"}, 404)
        return JSONResponse(explanation(model, key))


@contextmanager
def fake_edge() -> Iterator[FakeEdge]:
    """Runs one until the end of the block."""
    port = free_port()
    edge = FakeEdge(port)
    config = uvicorn.Config(edge.application(), port=port, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, message="the fake edge does not start")
    try:
        yield edge
    finally:
        server.should_exit = True
        thread.join(10)
