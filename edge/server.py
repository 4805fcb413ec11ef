"""Runs one edge process: uvicorn around the application, from a bound socket to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator

import uvicorn
import uvloop

from edge.app import Edge
from precompute import manifest
from precompute.errors import ConfigError
from precompute.settings import Settings

log = logging.getLogger(__name__)

#: A balancer's health check must notice before connections are closed.
DRAIN_S = 10
#: Idle connections are kept longer than the usual balancer keeps its own.
KEEP_ALIVE_S = 75
BACKLOG = 2048


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ours are installed by `_serve`; uvicorn's would end the process before we have cleaned up."""
        yield


def run(settings: Settings) -> None:
    """Serves until SIGINT or SIGTERM.

    Raises:
        ConfigError: the project file is wrong, or the port is taken.
        StoreUnavailable: the replica cannot be reached.
    """
    project = manifest.load(settings.project)
    with _bound(settings.host, settings.port) as listener:
        uvloop.run(_serve(Edge(project, settings), listener))


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port") from None
    return listener


async def _serve(edge: Edge, listener: socket.socket) -> None:
    config = uvicorn.Config(
        edge.application(),
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
        backlog=BACKLOG,
    )
    server = _Server(config)
    _stop_on_signals(server, edge)
    starting = asyncio.create_task(edge.start())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.wait((starting, serving), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            await serving
            return  # Told to stop before there was anything to serve.
        await starting
        host, port = listener.getsockname()[:2]
        log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
        await serving
    finally:
        server.should_exit = True
        starting.cancel()
        await asyncio.gather(starting, serving, return_exceptions=True)
        await edge.stop()


def _stop_on_signals(server: uvicorn.Server, edge: Edge) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        edge.ready = False
        server.force_exit = server.should_exit
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
