"""Runs one edge process: uvicorn around the application, from a bound socket to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any

import uvicorn
import uvloop

from edge import listening
from edge.app import Edge
from edge.connections import drain, sweep_idle
from edge.door import NO_DOOR
from edge.lane import LaneProtocol, lane_protocol
from edge.lane_support import lane_is_supported
from edge.siblings import Slot
from edge.threads import unfinished
from precompute import manifest
from precompute.settings import Settings
from precompute.tracing import Tracing, open_tracing

log = logging.getLogger(__name__)

_LOOK_S = 0.02
#: Who has connected last may take so long to send a request.
_LAST_WORD_S = 0.5
#: New objects before a collection of each generation. While 200,000 entries came in, the default spent 5 % of the time
#: collecting; at 10,000 single collections took over 1 ms.
_COLLECT_AFTER = (2000, 10, 10)


class Server(uvicorn.Server):
    """uvicorn's, without its signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Those who serve install their own; uvicorn's would end the process before we have cleaned up."""
        yield


def run(settings: Settings) -> None:
    """Serves until SIGINT or SIGTERM.

    Raises:
        ConfigError: the project file is wrong, or the port is taken.
        StoreUnavailable: the replica cannot be reached.
    """
    project = manifest.load(settings.project)
    with listening.bound(settings.host, settings.port) as listener:
        port = listener.getsockname()[1]
        _run_traced(lambda tracing: _serve(Edge(project, settings, tracing=tracing, port=port), listener, []))


def run_in_slot(settings: Settings, slot: Slot) -> None:
    """Serves as one of several processes, on sockets that whoever started them keeps open; else like `run`."""
    project = manifest.load(settings.project)
    with contextlib.ExitStack() as open_ones:
        listeners = [open_ones.enter_context(socket.socket(fileno=number)) for number in slot.listeners]
        own = listeners.pop(slot.number)
        port = own.getsockname()[1]
        _run_traced(lambda tracing: _serve(Edge(project, settings, slot, tracing, port=port), own, listeners))


def _run_traced(serve: Callable[[Tracing | None], Coroutine[Any, Any, None]]) -> None:
    tracing = open_tracing("edge", os.environ)
    try:
        uvloop.run(serve(tracing))
    finally:
        if tracing is not None:
            tracing.close()
    if left := unfinished():
        log.warning("left behind, because it does not end: %s", ", ".join(left))
        logging.shutdown()
        os._exit(0)


async def _serve(edge: Edge, own: socket.socket, others: Sequence[socket.socket]) -> None:
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
        timeout_graceful_shutdown=listening.FINISH_S,
        backlog=listening.BACKLOG,
    )
    server = Server(config)
    with _obeying_signals(server, edge, lane, [own, *others]), _sweeping(server, edge, lane):
        await _run(server, edge, own, others)


async def _lane(edge: Edge) -> type[LaneProtocol] | None:
    """The protocol with the lane, or None for uvicorn's own."""
    if not await lane_is_supported():
        log.warning("uvicorn %s is not one the lane knows: hits are answered the plain way", uvicorn.__version__)
        return None
    return edge.lane() if edge.settings.lane else lane_protocol(NO_DOOR)


async def _run(server: Server, edge: Edge, own: socket.socket, others: Sequence[socket.socket]) -> None:
    starting = asyncio.create_task(edge.start())
    serving = asyncio.create_task(_answer(server, edge, own, others))
    try:
        await asyncio.wait((starting, serving), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            await serving
            return  # Told to stop before there was anything to serve.
        await starting
        keep_what_is_there()
        if edge.siblings is None:
            log.info("listening on %s", listening.url(own))
        await serving
    finally:
        server.should_exit = True
        starting.cancel()
        await asyncio.gather(starting, serving, return_exceptions=True)
        await edge.stop()


async def _answer(server: Server, edge: Edge, own: socket.socket, others: Sequence[socket.socket]) -> None:
    """Serves; a process whose siblings can do it meanwhile leaves its connections to them until it is ready."""
    siblings = edge.siblings
    while siblings is not None and not (edge.ready or siblings.answers_first or server.should_exit):  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_S)
    helping = asyncio.create_task(listening.take_over(others, partial(_connect, server), lambda: server.should_exit))
    try:
        await server.serve(sockets=[own])
    finally:
        helping.cancel()


async def _connect(server: Server, connection: socket.socket) -> None:
    # As uvicorn makes them for the connections that it accepts.
    kind: Any = server.config.http_protocol_class
    protocol = partial(kind, config=server.config, server_state=server.server_state, app_state={})
    await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)


def keep_what_is_there() -> None:
    """Code, models and what memory was warmed with stay: a full collection need not look at them again.

    With the code alone it held up the loop for 20 ms, now and then.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


@contextlib.contextmanager
def _sweeping(server: Server, edge: Edge, lane: type[LaneProtocol] | None) -> Iterator[None]:
    if lane is None:
        yield  # uvicorn's own connections have timers.
        return
    sweeping = asyncio.create_task(sweep_idle(server.server_state.connections, edge.settings.keep_alive_s))
    try:
        yield
    finally:
        sweeping.cancel()


@contextlib.contextmanager
def _obeying_signals(
    server: Server, edge: Edge, lane: type[LaneProtocol] | None, listeners: Sequence[socket.socket]
) -> Iterator[None]:
    """SIGINT or SIGTERM ends the server after a while in which its clients can go elsewhere; a second one at once."""
    loop, leaving = asyncio.get_running_loop(), list[asyncio.Task[None]]()

    def stop() -> None:
        edge.turn_away()
        server.force_exit = server.should_exit
        server.should_exit = lane is None or bool(leaving)
        if lane is not None and not leaving:
            leaving.append(loop.create_task(_leave(server, lane, listeners, edge.settings.drain_s)))

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for task in leaving:
            task.cancel()


async def _leave(server: Server, lane: type[LaneProtocol], listeners: Sequence[socket.socket], drain_s: float) -> None:
    """Lets everybody go elsewhere, in an order that loses no request.

    1. Each connection ends with its next answer, and `/readyz` says 503. Who connects is still answered for `drain_s`:
       balancers look at it only now and then. Without any connection there is nobody to wait for.
    2. Connections are refused, which tells a balancer for certain that nothing of its request has been seen.
    3. Those who connected until then are answered; whoever has said nothing by the end is hung up on.
    """
    connections = server.server_state.connections
    drain(lane, connections)
    if connections:
        await asyncio.sleep(drain_s)
    for connection in _stop_listening(server, listeners):
        with contextlib.suppress(OSError):  # It has hung up meanwhile.
            await _connect(server, connection)
    until_s = time.monotonic() + _LAST_WORD_S
    while connections and time.monotonic() < until_s:  # noqa: ASYNC110  (uvicorn has no event for it)
        await asyncio.sleep(_LOOK_S)
    server.should_exit = True


def _stop_listening(server: Server, listeners: Sequence[socket.socket]) -> list[socket.socket]:
    """Who was waiting in the queues: closing one hangs up on them. Between the two nobody else gets a turn.

    A queue goes on as long as a sibling, or whoever started the processes, has its socket open.
    """
    if not server.started:
        return []
    last = [connection for listener in listeners for connection in listening.waiting(listener)]
    for accepting in server.servers:
        accepting.close()
    for listener in listeners:
        listener.close()
    return last
