"""An open loop whose loop is compiled, for rates at which one in Python measures itself.

At 60,000 requests a second Python's takes four fifths of its core; whatever keeps it from that core for a moment it
makes up for slowly, and that counts against the server. Compiled, it takes two thirds, nearly all of it the system's.
"""

from __future__ import annotations

import ctypes
import itertools
import platform
import select
from array import array
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from deploy.bench.answers import read_answer
from deploy.bench.generator import STEP_S, Generator
from deploy.bench.latencies import Outcome
from precompute.errors import StoreUnavailable

#: What an answer may take, and how many sockets are looked at in one go.
_ANSWER_BYTES, _EVENTS = 1024, 64
#: How long is waited for answers at most until the clock is looked at again.
_LOOK_S = 0.01
#: How a loop ends otherwise than well.
_HUNG_UP, _DID_NOT_FIT, _UNASKED = 1, 2, 3
_SAID = {
    _HUNG_UP: "the server hung up",
    _DID_NOT_FIT: "a request does not fit a socket's buffer, or an answer ours",
    _UNASKED: "the server said something that nobody had asked for",
}
_HEAD_ENDS = np.frombuffer(b"\r\n\r\n", np.uint8)
_LENGTH = np.frombuffer(b"\r\ncontent-length: ", np.uint8)
#: Of either case; that it makes others alike too does no harm to these names.
_LOWER = 0x20
_CLOCK_MONOTONIC = 1
_TIME = np.dtype([("s", np.int64), ("ns", np.int64)])
#: Linux packs its events on x86 only.
_EVENT = np.dtype([("events", np.uint32), ("data", np.uint64)], align=platform.machine() != "x86_64")


def _of_libc(name: str, answer: type[Any], *arguments: type[Any]) -> Any:
    """A function of the C library, to which pointers are numbers."""
    function = getattr(ctypes.CDLL(None), name)
    function.argtypes, function.restype = arguments, answer
    return function


_INT, _SIZE, _POINTER = ctypes.c_int, ctypes.c_ssize_t, ctypes.c_size_t
_send = _of_libc("send", _SIZE, _INT, _POINTER, _SIZE, _INT)
_receive = _of_libc("recv", _SIZE, _INT, _POINTER, _SIZE, _INT)
_read_clock = _of_libc("clock_gettime", _INT, _INT, _POINTER)
_sleep = _of_libc("nanosleep", _INT, _POINTER, _POINTER)
_wait = _of_libc("epoll_pwait2", _INT, _INT, _POINTER, _INT, _POINTER, _POINTER)


class _Load(NamedTuple):
    """What is asked and what is answered.

    Attributes:
        requests: all bytes that are to be sent, and `ends`, where each request ends.
        latencies_s: in the order in which they were answered.
        answers: all bytes of those, and `stops`, where each answer ends.
    """

    requests: NDArray[np.uint8]
    ends: NDArray[np.int64]
    latencies_s: NDArray[np.float64]
    answers: NDArray[np.uint8]
    stops: NDArray[np.int64]

    @classmethod
    def of(cls, requests: list[bytes]) -> _Load:
        """Before any of them is sent."""
        count = len(requests)
        ends = np.cumsum([0, *map(len, requests)])
        packed = np.frombuffer(b"".join(requests), np.uint8)
        # All written to once: memory that is only promised comes when it is used, and holds up the loop.
        answers, stops = np.full(count * _ANSWER_BYTES, 1, np.uint8), np.full(count + 1, 0)
        return cls(packed, ends, np.full(count, 0.0), answers, stops)


class _Sockets(NamedTuple):
    """The connections; arrays have a row for each number that a socket may have.

    Attributes:
        idle: those without a request in flight, as a ring.
        due_s: when the request in flight was due; 0 if there is none.
        part: what has come of its answer, and `size`, how many bytes.
    """

    idle: NDArray[np.int32]
    due_s: NDArray[np.float64]
    part: NDArray[np.uint8]
    size: NDArray[np.int64]

    @classmethod
    def of(cls, numbers: list[int]) -> _Sockets:
        """While all are idle."""
        rows = max(numbers, default=0) + 1
        part = np.zeros((rows, _ANSWER_BYTES), np.uint8)
        return cls(np.array(numbers, np.int32), np.zeros(rows), part, np.zeros(rows, np.int64))


class CompiledGenerator(Generator):
    """Like any; but an open loop keeps the answers as they come, and reads them when it is over."""

    _load: _Load
    _answered: int

    def __post_init__(self) -> None:
        """Compiles."""
        super().__post_init__()
        _pace(-1, _Load.of([]), _Sockets.of([]), 0.0, 1.0, 0.0)

    def open_loop(self, seconds: float, rate_per_s: float) -> Outcome:
        """As `Generator.open_loop`."""
        self._load = _Load.of(list(itertools.islice(self._next, int(seconds * rate_per_s))))
        outcome = super().open_loop(seconds, rate_per_s)
        outcome.latencies_s = array("d", self._load.latencies_s[: self._answered].tobytes())
        stops = self._load.stops[: self._answered + 1].tolist()
        answers = self._load.answers[: stops[-1]].tobytes()
        for begin, end in itertools.pairwise(stops):
            kind = read_answer(answers[begin:end])
            assert kind, answers[begin:end]
            outcome.kinds[kind] += 1
        return outcome

    def _keep_pace(self, poll: select.epoll, began_s: float, count: int, rate_per_s: float) -> None:
        sockets = _Sockets.of(list(self._opened))
        failed, self._answered = _pace(poll.fileno(), self._load, sockets, began_s, 1.0 / rate_per_s, self.grace_s)
        if failed:
            raise StoreUnavailable(_SAID[failed])
        self._outcome.unanswered += count - self._answered


@njit(nogil=True)
def _pace(
    poll: int, load: _Load, sockets: _Sockets, began_s: float, interval_s: float, grace_s: float
) -> tuple[int, int]:
    """How it ended, and how many were answered."""
    count, asked, answered, first, idle = load.latencies_s.size, 0, 0, 0, sockets.idle.size
    events, time, rest = np.zeros(_EVENTS, _EVENT), np.zeros(1, _TIME), np.zeros(1, _TIME)
    last_s = began_s + count * interval_s + grace_s
    while answered < count:
        now_s = _now_s(time)
        while asked < count and idle and began_s + asked * interval_s <= now_s:
            number = sockets.idle[first]
            sockets.due_s[number] = began_s + asked * interval_s
            if not _sent(number, load, asked):
                return _DID_NOT_FIT, answered
            first, idle, asked = (first + 1) % sockets.idle.size, idle - 1, asked + 1
        if now_s > last_s:
            break
        wait_s = min(began_s + asked * interval_s - now_s, _LOOK_S) if idle and asked < count else _LOOK_S
        for at in range(_ready(poll, wait_s, events, rest)):
            number = np.int32(events[at]["data"])
            whole = _received(number, sockets)
            if whole < 0:
                return -whole, answered
            if whole:
                load.latencies_s[answered] = _now_s(time) - sockets.due_s[number]
                _keep(load, answered, sockets.part[number, :whole])
                sockets.idle[(first + idle) % sockets.idle.size], sockets.due_s[number] = number, 0.0
                idle, answered = idle + 1, answered + 1
    return 0, answered


@njit
def _now_s(time: NDArray[Any]) -> float:
    _read_clock(_CLOCK_MONOTONIC, time.ctypes.data)
    return time[0]["s"] + time[0]["ns"] / 1e9


@njit
def _sent(number: int, load: _Load, at: int) -> bool:
    """Whether the whole request went into the socket."""
    size = load.ends[at + 1] - load.ends[at]
    return _send(number, load.requests.ctypes.data + load.ends[at], size, 0) == size


@njit
def _ready(poll: int, wait_s: float, events: NDArray[Any], rest: NDArray[Any]) -> int:
    """How many sockets have something for us; the first look is after a rest where the next request is due at once."""
    if wait_s <= STEP_S:
        rest[0]["ns"] = np.int64(STEP_S * 1e9)
        _sleep(rest.ctypes.data, 0)
        wait_s = 0.0
    rest[0]["ns"] = np.int64(wait_s * 1e9)
    return _wait(poll, events.ctypes.data, _EVENTS, rest.ctypes.data, 0)


@njit
def _received(number: int, sockets: _Sockets) -> int:
    """The bytes of the answer that is whole now; 0 if more of it has to come; what went wrong as a negative number."""
    size, room = sockets.size[number], _ANSWER_BYTES - sockets.size[number]
    if not room:
        return -_DID_NOT_FIT
    came = _receive(number, sockets.part[number].ctypes.data + size, room, 0)
    if came <= 0:
        return -_HUNG_UP
    if not sockets.due_s[number]:
        return -_UNASKED
    size += came
    whole = _is_whole(sockets.part[number, :size])
    sockets.size[number] = 0 if whole else size
    return size if whole else 0


@njit
def _is_whole(data: NDArray[np.uint8]) -> bool:
    """As `read_answer` sees it."""
    end = 0
    while not _stands(_HEAD_ENDS, data, end):
        end += 1
        if end + _HEAD_ENDS.size > data.size:
            return False
    at = end
    while not _stands(_LENGTH, data, at):
        at -= 1
        if at < 0:
            return False
    length, at = 0, at + _LENGTH.size
    while data[at] != _HEAD_ENDS[0]:
        length, at = 10 * length + data[at] - 48, at + 1
    return data.size >= end + _HEAD_ENDS.size + length


@njit
def _stands(wanted: NDArray[np.uint8], data: NDArray[np.uint8], at: int) -> bool:
    """Whether this is what stands there, in either case."""
    if at + wanted.size > data.size:
        return False
    for i in range(wanted.size):  # noqa: SIM110  Compiled, this is what it costs least.
        if data[at + i] | _LOWER != wanted[i] | _LOWER:
            return False
    return True


@njit
def _keep(load: _Load, answered: int, data: NDArray[np.uint8]) -> None:
    begin = load.stops[answered]
    load.answers[begin : begin + data.size] = data
    load.stops[answered + 1] = begin + data.size
