"""The bytes of one connection to a Redis server: commands go out in a pipeline, replies come back in order.

Commands are packed and replies parsed by hiredis. A caller may give up waiting, but a command in flight is never
cancelled: its reply is awaited and dropped, so nobody can be handed another's. The oldest one bounds the wait of all:
without a reply for `timeout_s` the connection is dropped and everything in flight fails.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import hiredis

from precompute.errors import Overloaded, StoreUnavailable
from precompute.store import CommandFailed
from precompute.updates import Command, Reply

log = logging.getLogger(__name__)

#: Commands that may be in flight; far more than a healthy server leaves waiting.
MAX_IN_FLIGHT = 50_000

#: What has become of commands: their replies, or why there are none.
Outcome = list[Reply] | StoreUnavailable
#: Is told so, once; what it raises is logged.
Then = Callable[[Outcome], None]


class Wire(asyncio.Protocol):
    """One connection, until it is dropped.

    Attributes:
        closed: set when it is.
        reason: and why.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        self._loop = loop
        self._timeout_s = timeout_s
        self._reader = hiredis.Reader(replyError=CommandFailed)
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._in_flight: deque[tuple[int, Then, float]] = deque()
        self._replies: list[Reply] = []
        self._commands = 0
        self._watch: asyncio.TimerHandle | None = None
        self.closed = asyncio.Event()
        self.reason = ""

    def run(self, commands: Sequence[Command]) -> asyncio.Future[list[Reply]]:
        """Sends commands in the next turn of the loop, with all that is run in this one.

        Raises:
            StoreUnavailable: it is closed.
            Overloaded: too much is in flight already.
        """
        future: asyncio.Future[list[Reply]] = self._loop.create_future()
        nothing_unsent = not self._unsent
        self.send(commands, partial(_resolve, future))
        if nothing_unsent and self._unsent:
            self._loop.call_soon(self.flush)
        return future

    def send(self, commands: Sequence[Command], then: Then) -> None:
        """Puts commands behind those that leave with the next `flush`; raises as `run` does."""
        if self.closed.is_set():
            raise StoreUnavailable(f"Redis connection lost: {self.reason}")
        if self._commands + len(commands) > MAX_IN_FLIGHT:
            raise Overloaded(f"{self._commands} Redis commands are waiting for replies")
        if not commands:
            # Waiting in the queue it would be handed the next caller's replies.
            then([])
            return
        self._unsent += [hiredis.pack_command(c) for c in commands]  # type: ignore[arg-type]
        self._in_flight.append((len(commands), then, self._loop.time()))
        self._commands += len(commands)
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout_s, self._check_wait)

    def flush(self) -> None:
        """Lets everything leave now, in one write."""
        # uvloop raises when asked to write to what it has closed and not told us of; whoever waits is told by then.
        if self._unsent and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._unsent))
        self._unsent = []

    def _check_wait(self) -> None:
        self._watch = None
        if self._in_flight:
            left_s = self._in_flight[0][2] + self._timeout_s - self._loop.time()
            if left_s <= 0:
                self.drop(f"no reply for {self._timeout_s:g} s")
            else:
                self._watch = self._loop.call_later(left_s, self._check_wait)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except hiredis.ProtocolError as error:
            self.drop(f"not the Redis protocol: {error}")

    def _take(self, reply: Reply) -> None:
        if not self._in_flight:
            self.drop(f"a reply that nobody asked for: {reply!r:.80}")
            return
        self._replies.append(reply)
        count, then, _ = self._in_flight[0]
        if len(self._replies) == count:
            self._in_flight.popleft()
            self._commands -= count
            replies, self._replies = self._replies, []
            _tell(then, replies)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self.drop(str(exc) if exc else "closed by the server")

    def drop(self, reason: str) -> None:
        """Closes; everything in flight fails."""
        if self.closed.is_set():
            return
        self.reason = reason
        self.closed.set()
        if self._watch is not None:
            self._watch.cancel()
        if self._transport is not None:
            self._transport.abort()
        lost, self._in_flight = self._in_flight, deque()
        for _, then, _ in lost:
            _tell(then, StoreUnavailable(f"Redis connection lost: {reason}"))


def _tell(then: Then, outcome: Outcome) -> None:
    try:
        then(outcome)
    except Exception:
        # The others that wait for this connection are to be told as well.
        log.exception("what comes from Redis could not be taken")


def _resolve(future: asyncio.Future[list[Reply]], outcome: Outcome) -> None:
    if future.done():
        return
    if isinstance(outcome, StoreUnavailable):
        future.set_exception(outcome)
        future.exception()  # An abandoned wait is no unhandled error.
    else:
        future.set_result(outcome)
