"""Sends requests as fast as they are answered (closed loop), or at a constant rate whatever happens (open loop).

In an open loop a request's latency counts from the moment it was due, not from when it could be sent: a server that
stands still for a second has kept everybody waiting who would have come in that second. Counting from the sending
hides that; it is known as coordinated omission.

One thread, non-blocking sockets and epoll, one request in flight on each connection. On one core it manages about
as many requests a second as nginx answers on another; near that, what is measured is the generator. In an open loop it
rests for 20 µs between two looks at the clock and at its sockets: looking all the time would wake the server for every
request, and leave no time to catch up after the system has kept either of them from its core. What waits for the next
look counts as latency.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.bench.answers import read_answer
from deploy.bench.latencies import Outcome
from precompute.errors import StoreUnavailable

#: What one receive takes; answers are smaller.
_CHUNK_BYTES = 1 << 16
#: An open loop's rest between two looks; it lasts as long again until the system has woken it.
STEP_S = 0.00002
#: How late the system may wake us; usually it is 50 µs.
_TIMER_SLACK = Path("/proc/self/timerslack_ns")
_SLACK_NS = 1000


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    number: int
    send: Callable[[bytes], int]
    receive: Callable[[int], bytes]
    #: When the request in flight was due; None if there is none.
    due_s: float | None = None
    received: bytes = b""

    def wait_for_more(self, data: bytes) -> None:
        """Of the answer in flight this has come, and it is not all."""
        if self.due_s is None:
            raise StoreUnavailable("the server hung up on an idle connection")
        if not data:
            raise StoreUnavailable("the server hung up in the middle of a request")
        self.received += data


@dataclass(slots=True)
class Generator:
    """Connections to one server.

    Attributes:
        requests: whole requests as bytes, sent in this order, over and over.
        grace_s: how long answers that do not come are waited for after the last request.
    """

    host: str
    port: int
    requests: Sequence[bytes]
    connections: int = 32
    grace_s: float = 5.0
    _next: Iterator[bytes] = field(init=False)
    _idle: deque[_Connection] = field(default_factory=deque)
    #: All, by number.
    _opened: dict[int, _Connection] = field(default_factory=dict)
    _outcome: Outcome = field(default_factory=Outcome)

    def __post_init__(self) -> None:
        """What is sent goes on in the next loop where this one has ended."""
        self._next = itertools.cycle(self.requests)

    def closed_loop(self, seconds: float) -> Outcome:
        """Every connection asks again as soon as it is answered.

        Raises:
            StoreUnavailable: the server cannot be reached, or hangs up.
        """
        return self._run(seconds, rate_per_s=None)

    def open_loop(self, seconds: float, rate_per_s: float) -> Outcome:
        """Requests at even intervals; one that finds every connection busy waits, and that counts.

        Raises:
            StoreUnavailable: the server cannot be reached, or hangs up.
        """
        return self._run(seconds, rate_per_s)

    def _run(self, seconds: float, rate_per_s: float | None) -> Outcome:
        self._idle = deque(self._connect() for _ in range(self.connections))
        self._opened = {connection.number: connection for connection in self._idle}
        try:
            with _woken_in_time(), _uncollected(), select.epoll() as poll:
                for number in self._opened:
                    poll.register(number, select.EPOLLIN)
                self._outcome = Outcome(opened=self._ask_once(poll))
                began = time.perf_counter()
                if rate_per_s is None:
                    self._keep_asking(poll, began + seconds)
                else:
                    self._keep_pace(poll, began, int(seconds * rate_per_s), rate_per_s)
                self._drain(poll)
                self._outcome.took_s = time.perf_counter() - began
        finally:
            for connection in self._opened.values():
                connection.socket.close()
        return self._outcome

    def _connect(self) -> _Connection:
        try:
            connected = socket.create_connection((self.host, self.port), timeout=self.grace_s)
        except OSError as error:
            raise StoreUnavailable(f"nobody answers at {self.host}:{self.port}: {error}") from None
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setblocking(False)
        return _Connection(connected, connected.fileno(), connected.send, connected.recv)

    def _ask_once(self, poll: select.epoll) -> int:
        """One request on each connection, apart from the rest: making connections is another kind of work."""
        self._outcome = Outcome()
        for _ in range(self.connections):
            self._ask(time.perf_counter())
        self._drain(poll)
        return self._outcome.statuses.total()

    def _keep_asking(self, poll: select.epoll, until_s: float) -> None:
        while (now_s := time.perf_counter()) < until_s:
            while self._idle:
                self._ask(now_s)
            self._take_answers(poll, 0.1)

    def _keep_pace(self, poll: select.epoll, began_s: float, count: int, rate_per_s: float) -> None:
        due, interval_s = 0, 1.0 / rate_per_s
        last_s = began_s + count * interval_s + self.grace_s
        while due < count:
            now_s = time.perf_counter()
            while due < count and self._idle and (due_s := began_s + due * interval_s) <= now_s:
                self._ask(due_s)
                due += 1
            if now_s > last_s:
                self._outcome.unanswered += count - due
                return
            wait_s = began_s + due * interval_s - now_s if self._idle else 0.01
            if wait_s <= STEP_S:
                time.sleep(STEP_S)
                wait_s = 0.0
            self._take_answers(poll, wait_s)

    def _drain(self, poll: select.epoll) -> None:
        until_s = time.perf_counter() + self.grace_s
        while (in_flight := len(self._opened) - len(self._idle)) and time.perf_counter() < until_s:
            self._take_answers(poll, 0.1)
        self._outcome.unanswered += in_flight

    def _ask(self, due_s: float) -> None:
        connection = self._idle.popleft()
        connection.due_s = due_s
        request = next(self._next)
        if connection.send(request) != len(request):
            raise StoreUnavailable("a request does not fit a socket's buffer")

    def _take_answers(self, poll: select.epoll, wait_s: float) -> None:
        ready = poll.poll(0)
        if wait_s and not ready:
            # epoll knows whole milliseconds only. Who looks without waiting uses up his share of a core that others
            # want too, and is then kept from it for as long as the requests take that he measures.
            select.select([poll], [], [], wait_s)
            ready = poll.poll(0)
        opened, clock, is_idle = self._opened, time.perf_counter, self._idle.append
        take, kinds = self._outcome.latencies_s.append, self._outcome.kinds
        for number, _ in ready:
            connection = opened[number]
            data = connection.receive(_CHUNK_BYTES)
            answer = read_answer(connection.received + data if connection.received else data)
            due_s = connection.due_s
            if answer is None or due_s is None:
                connection.wait_for_more(data)
                continue
            take(clock() - due_s)
            kinds[answer] += 1
            connection.due_s, connection.received = None, b""
            is_idle(connection)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """A collection would hold up requests that are due, by all that the process around has made."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextlib.contextmanager
def _woken_in_time() -> Iterator[None]:
    before = _slack(_SLACK_NS)
    try:
        yield
    finally:
        _slack(before)


def _slack(wanted_ns: int) -> int:
    """What it was before; where we may not set it, each wait takes 50 µs longer."""
    try:
        before_ns = int(_TIMER_SLACK.read_text())
        _TIMER_SLACK.write_text(str(wanted_ns))
    except OSError:
        return 0
    return before_ns
