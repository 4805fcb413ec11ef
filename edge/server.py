"""Runs one edge process: uvicorn around the application, from a bound socket to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import time
from collections.abc import Iterator

import uvicorn
import uvloop

from edge.app import Edge
from edge.lane import LaneProtocol, drain, lane_protocol, sweep_idle
from edge.lane_support import lane_is_supported
from precompute import manifest
from precompute.errors import ConfigError
from precompute.settings import Settings

log = logging.getLogger(__name__)

#: What is being answered when connections are closed may take so long.
FINISH_S = 10
BACKLOG = 2048
_LOOK_S = 0.02
#: New objects before a collection of each generation. While 200,000 entries came in, the default spent 5 % of the time
#: collecting; at 10,000 single collections took over 1 ms.
_COLLECT_AFTER = (2000, 10, 10)


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
    lane = await _lane(edge)
    config = uvicorn.Config(
        edge.application(),
        http=lane or "httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=edge.settings.keep_alive_s,  # type: ignore[arg-type]  # only a timer,
        timeout_graceful_shutdown=FINISH_S,
        backlog=BACKLOG,
    )
    server = _Server(config)
    with _obeying_signals(server, edge, lane), _sweeping(server, edge, lane):
        await _run(server, edge, listener)


async def _lane(edge: Edge) -> type[LaneProtocol] | None:
    """The protocol with the lane, or None for uvicorn's own."""
    if not await lane_is_supported():
        log.warning("uvicorn %s is not one the lane knows: hits are answered the plain way", uvicorn.__version__)
        return None
    hits = edge.door()
    return lane_protocol(hits.answer, edge.short_cut(hits)) if edge.settings.lane else lane_protocol(_no_hit)


def _no_hit(target: bytes, arrived_s: float) -> None:
    """The door of a lane that is turned off."""


async def _run(server: _Server, edge: Edge, listener: socket.socket) -> None:
    starting = asyncio.create_task(edge.start())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.wait((starting, serving), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            await serving
            return  # Told to stop before there was anything to serve.
        await starting
        _keep_what_is_there()
        host, port = listener.getsockname()[:2]
        log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
        await serving
    finally:
        server.should_exit = True
        starting.cancel()
        await asyncio.gather(starting, serving, return_exceptions=True)
        await edge.stop()


def _keep_what_is_there() -> None:
    """Code, models and what memory was warmed with stay: a full collection need not look at them again.

    With the code alone it held up the loop for 20 ms, now and then.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


@contextlib.contextmanager
def _sweeping(server: _Server, edge: Edge, lane: type[LaneProtocol] | None) -> Iterator[None]:
    if lane is None:
        yield  # uvicorn's own connections have timers.
        return
    sweeping = asyncio.create_task(sweep_idle(server.server_state.connections, edge.settings.keep_alive_s))
    try:
        yield
    finally:
        sweeping.cancel()


@contextlib.contextmanager
def _obeying_signals(server: _Server, edge: Edge, lane: type[LaneProtocol] | None) -> Iterator[None]:
    """SIGINT or SIGTERM ends the server after a while in which its clients can go elsewhere; a second one at once."""
    loop, leaving = asyncio.get_running_loop(), list[asyncio.Task[None]]()

    def stop() -> None:
        edge.ready = False
        server.force_exit = server.should_exit
        server.should_exit = lane is None or bool(leaving)
        if lane is not None and not leaving:
            leaving.append(loop.create_task(_leave(server, lane, edge.settings.drain_s)))

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for task in leaving:
            task.cancel()


async def _leave(server: _Server, lane: type[LaneProtocol], drain_s: float) -> None:
    """Each connection ends with its next answer; those that ask nothing are closed after `drain_s`."""
    connections = server.server_state.connections
    drain(lane, connections)
    until_s = time.monotonic() + drain_s
    while connections and time.monotonic() < until_s:  # noqa: ASYNC110  (uvicorn has no event for it)
        await asyncio.sleep(_LOOK_S)
    server.should_exit = True
