"""The dashboard alone: a process with Redis only, for whoever looks at a fleet without being part of it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route, Router

from edge import listening
from edge.api.guard import Guard
from edge.app import now_ms
from edge.dashboard.board import Board
from edge.dashboard.document import Document
from edge.dashboard.gather import Gatherer
from edge.dashboard.page import PAGE
from edge.link import Link
from edge.links import FILE_TIMEOUT_S
from edge.server import Server
from precompute.manifest import Project
from precompute.settings import Settings

log = logging.getLogger(__name__)


async def gathered(settings: Settings, project: Project, range_s: int, node: str | None = None) -> Document:
    """One document, for those who want no page.

    Raises:
        StoreUnavailable: Redis cannot be reached.
    """
    link = Link(settings.read_url, timeout_s=settings.redis_timeout_s, name="nearcast-stats")
    await link.open()
    try:
        return await Gatherer(link, project, now_ms).document(range_s, node)
    finally:
        await link.close()


def run(settings: Settings, project: Project) -> None:
    """Serves on the settings' host and port until SIGINT or SIGTERM.

    Raises:
        ConfigError: the port is taken.
        StoreUnavailable: Redis cannot be reached.
    """
    with listening.bound(settings.host, settings.port) as listener:
        asyncio.run(_serve(settings, project, listener))


async def _serve(settings: Settings, project: Project, listener: socket.socket) -> None:
    timeout_s = settings.redis_timeout_s
    reads = Link(settings.read_url, timeout_s=max(timeout_s, FILE_TIMEOUT_S), name="nearcast-dashboard")
    writes = Link(settings.primary_url, timeout_s=timeout_s, name="nearcast-dashboard-write")
    board = Board(project, reads, writes, settings, now_ms)
    routes = [Route("/", _home), Route("/livez", _live), *board.routes()]
    config = uvicorn.Config(
        Guard(Router(routes, redirect_slashes=False)),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=listening.FINISH_S,
    )
    server = Server(config)

    def stop() -> None:
        board.close()
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await reads.open()
    opening = asyncio.create_task(writes.open_eventually())
    try:
        log.info("listening on %s%s", listening.url(listener), PAGE)
        await server.serve(sockets=[listener])
    finally:
        opening.cancel()
        for link in (reads, writes):
            await link.close()


async def _home(_: Request) -> Response:
    return RedirectResponse(PAGE)


async def _live(_: Request) -> Response:
    return JSONResponse({"live": True})
