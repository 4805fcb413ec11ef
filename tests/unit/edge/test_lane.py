"""The protocol that answers hits itself and passes everything else on."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from edge.connections import drain, sweep_idle
from edge.door import TargetDoor
from edge.lane import LaneProtocol, lane_protocol
from edge.lane_support import lane_is_supported
from tests.unit.edge.transport import FakeTransport

HIT = b"GET /hit HTTP/1.1\r\nHost: x\r\n\r\n"
MISS = b"GET /miss HTTP/1.1\r\nHost: x\r\n\r\n"
PREDICTION = b"GET /v1/predict/m/k HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /miss HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhit"


class Talk:
    """One connection to an application that answers once it is allowed to."""

    def __init__(self) -> None:
        self.transport, self.state = FakeTransport(), ServerState()
        self.asked: list[bytes] = []
        self.allowed = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self._answer(scope["raw_path"], send)

        async def short(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["query_string"] == b"fail":
                raise ValueError
            await self._answer(b"short " + scope["raw_path"], send)

        self.protocol = lane_protocol(TargetDoor(lambda target: ANSWER if target == b"/hit" else None), short)

        config = uvicorn.Config(app, http=self.protocol, ws="none", lifespan="off", log_config=None, access_log=False)
        config.load()
        self.lane: LaneProtocol = self.protocol(config, self.state, {}, asyncio.get_running_loop())
        self.lane.logger = logging.Logger("silent", logging.CRITICAL)
        self.lane.connection_made(self.transport)

    async def _answer(self, path: bytes, send: Send) -> None:
        self.asked.append(path)
        await self.allowed.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"late"})

    def say(self, data: bytes) -> None:
        """The client sends one packet."""
        self.lane.data_received(data)

    async def settle(self) -> None:
        """Whatever can happen, happens."""
        for _ in range(10):
            await asyncio.sleep(0)

    @property
    def statuses(self) -> list[bytes]:
        """Of everything written so far, in order."""
        return [part[:3] for part in b"".join(self.transport.written).split(b"HTTP/1.1 ")[1:]]


async def wait_for(condition: Callable[[], bool]) -> None:
    """Lets the event loop turn until it is so."""
    async with asyncio.timeout(5.0):
        while not condition():  # noqa: ASYNC110  (whatever it depends on has no event)
            await asyncio.sleep(0)


async def test_hits_of_one_packet_leave_in_one_write() -> None:
    """And the application hears of none."""
    talk = Talk()

    talk.say(HIT * 5)

    assert talk.transport.written == [ANSWER * 5]
    assert talk.asked == []


async def test_a_hit_behind_a_slow_request_waits_for_it() -> None:
    """It is asked of the application then, as any pipelined request is."""
    talk = Talk()
    talk.say(HIT + MISS + HIT)
    await talk.settle()
    before = list(talk.asked)

    talk.allowed.set()
    await talk.settle()

    assert before == [b"/miss"]
    assert talk.asked == [b"/miss", b"/hit"]
    assert talk.statuses == [b"200", b"200", b"200"]


@pytest.mark.parametrize("leaves_early", [False, True])
@pytest.mark.parametrize("packet", [HIT, MISS, MISS + HIT, PREDICTION, POST + b"0\r\n\r\n"])
async def test_what_a_connection_took_is_free_once_it_has_ended(packet: bytes, leaves_early: bool) -> None:
    """Without the garbage collector, for which memory in use and memory that was freed come to lie side by side."""
    talk = Talk()
    talk.say(packet)
    await talk.settle()
    gc.disable()
    try:
        if leaves_early:
            talk.lane.connection_lost(ConnectionResetError())
        talk.allowed.set()
        await talk.settle()
        if not leaves_early:
            talk.lane.connection_lost(None)
        ended = weakref.ref(talk.lane)
        del talk.lane
        await talk.settle()

        assert ended() is None
    finally:
        gc.enable()


async def test_after_a_slow_request_the_lane_is_open_again() -> None:
    """A connection is not lost to the lane."""
    talk = Talk()
    talk.allowed.set()
    talk.say(MISS)
    await talk.settle()

    talk.say(HIT)

    assert talk.transport.written[-1] == ANSWER
    assert talk.asked == [b"/miss"]


@pytest.mark.parametrize(
    "head",
    [
        b"Cache-Control: no-cache",
        b"Connection: close",
        b"Content-Length: 0",
        b"If-None-Match: *",
        b"Pragma: no-cache",
        b"Range: bytes=0-1",
        b"Upgrade: h2c",
    ],
)
async def test_a_request_that_may_want_something_else_goes_the_plain_way(head: bytes) -> None:
    """Whatever its target."""
    talk = Talk()

    talk.say(HIT[:-2] + head + b"\r\n\r\n")
    await talk.settle()

    assert talk.asked == [b"/hit"]


async def test_a_client_that_does_not_read_goes_the_plain_way() -> None:
    """Where it has to wait; a packet full of requests is noticed before its end."""
    talk = Talk()
    write: Callable[[bytes], None] = talk.transport.write

    def full(data: bytes) -> None:
        write(data)
        talk.lane.pause_writing()

    talk.transport.write = full  # type: ignore[method-assign,assignment]
    talk.say(HIT * 1000)
    await talk.settle()
    answered, paused = b"".join(talk.transport.written).count(ANSWER), talk.transport.paused
    talk.transport.write = write  # type: ignore[method-assign,assignment]
    talk.lane.resume_writing()
    talk.allowed.set()
    await wait_for(lambda: len(talk.statuses) == 1000)

    assert answered < 100
    assert paused
    assert len(talk.asked) == 1000 - answered


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"GET /", b"a" * 1000),
        (b"GET / HTTP/1.1\r\nX: ", b"a" * 1000),
        (b"GET / HTTP/1.1\r\n", b"X: a\r\n" * 200),
        (HIT + b"GET / HTTP/1.1\r\nX: ", b"a" * 1000),
        (POST + b"1;", b"a" * 1000),
        (POST + b"0\r\nTrailer: ", b"a" * 1000),
    ],
)
async def test_headers_that_never_end_are_hung_up_on(start: bytes, more: bytes) -> None:
    """Before they fill the memory."""
    talk = Talk()
    talk.say(start)
    sent = 0

    while not talk.transport.closed and sent < 1_000_000:
        talk.say(more)
        sent += len(more)

    assert sent < 100_000
    assert talk.statuses[-1] == b"431"


async def test_a_long_body_is_no_long_header() -> None:
    """Nor are many small requests."""
    talk = Talk()
    talk.say(b"POST /miss HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")

    for _ in range(1000):
        talk.say(b"b" * 1000)
    talk.allowed.set()
    await talk.settle()
    for _ in range(10_000):
        talk.say(HIT)

    assert set(talk.statuses) == {b"200"}


@pytest.mark.parametrize("bad", [b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000])
async def test_a_refusal_waits_for_the_answers_before_it(bad: bytes) -> None:
    """Sent at once, a client would take it for the answer to an earlier request."""
    talk = Talk()
    talk.say(HIT + MISS + MISS)
    talk.say(bad)
    talk.say(b"") if talk.transport.paused else None
    before = list(talk.statuses)

    talk.allowed.set()
    await talk.settle()

    assert before == [b"200"]
    assert talk.statuses[:3] == [b"200"] * 3
    assert talk.statuses[3][:1] == b"4"
    assert talk.transport.closed


async def test_a_broken_body_is_refused_at_once() -> None:
    """If nothing is before it; else the connection ends without a word."""
    alone, behind = Talk(), Talk()
    behind.say(MISS)

    for talk in (alone, behind):
        talk.say(POST + b"no number\r\n")

    assert alone.statuses == [b"400"]
    assert behind.statuses == []
    assert alone.transport.closed
    assert behind.transport.closed


async def test_trailers_are_no_headers_of_the_next_request() -> None:
    """They are dropped."""
    talk = Talk()
    talk.allowed.set()
    talk.say(POST + b"0\r\nIf-None-Match: *\r\n\r\n")
    await talk.settle()

    talk.say(HIT)

    assert talk.asked == [b"/miss"]
    assert talk.transport.written[-1] == ANSWER


class TestTheShortCut:
    @pytest.mark.parametrize("head", [b"", b"If-None-Match: *\r\n", b"Cache-Control: no-cache\r\n"])
    async def test_other_gets_of_predictions_take_it(self, head: bytes) -> None:
        """Conditional ones too: they are about the prediction, not about the connection."""
        talk = Talk()
        talk.allowed.set()

        talk.say(PREDICTION[:-2] + head + b"\r\n")
        await talk.settle()

        assert talk.asked == [b"short /v1/predict/m/k"]
        assert talk.transport.written[0].endswith(b"\r\n\r\nlate")

    @pytest.mark.parametrize("change", [(b"GET", b"HEAD"), (b"1.1", b"1.0"), (b"/k", b"/\xff"), (b"/k", b"/k#")])
    async def test_what_is_not_quite_that_does_not(self, change: tuple[bytes, bytes]) -> None:
        """uvicorn knows more of HTTP than is repeated here."""
        talk = Talk()

        talk.say(PREDICTION.replace(*change))
        await talk.settle()

        assert not any(asked.startswith(b"short") for asked in talk.asked)

    async def test_others_wait_behind_it(self) -> None:
        """Whatever way they take, and in order; a stop waits for all of them."""
        talk = Talk()
        talk.say(HIT + PREDICTION + HIT + PREDICTION + MISS)
        await talk.settle()
        before, under_way = list(talk.asked), len(talk.state.tasks)

        talk.allowed.set()
        await talk.settle()
        talk.say(HIT)

        assert (before, under_way) == ([b"short /v1/predict/m/k"], 1)
        assert talk.asked[1:] == [b"/hit", b"/v1/predict/m/k", b"/miss"]
        assert talk.statuses == [b"200"] * 6
        assert talk.transport.written[-1] == ANSWER

    async def test_a_client_that_left_is_not_written_to(self) -> None:
        """Nor one that does not read, until it does."""
        gone, full = Talk(), Talk()
        for talk in (gone, full):
            talk.say(PREDICTION)
            await talk.settle()
        gone.lane.connection_lost(ConnectionResetError())
        full.lane.pause_writing()

        for talk in (gone, full):
            talk.allowed.set()
            await talk.settle()
        before = list(full.transport.written)
        full.lane.resume_writing()
        await full.settle()

        assert gone.transport.written == before == []
        assert full.statuses == [b"200"]

    async def test_a_failure_ends_the_connection(self, caplog: pytest.LogCaptureFixture) -> None:
        """Nothing else would."""
        talk = Talk()

        talk.say(PREDICTION.replace(b"/k", b"/k?fail"))
        await talk.settle()

        assert talk.transport.closed
        assert "/v1/predict/m/k failed" in caplog.text

    async def test_it_may_be_the_last_of_its_connection(self) -> None:
        """Begun before the drain or in it."""
        before, within = Talk(), Talk()
        before.say(PREDICTION)
        for talk in (before, within):
            drain(talk.protocol, talk.state.connections)
        within.say(PREDICTION)

        for talk in (before, within):
            talk.allowed.set()
            await talk.settle()

            assert b"connection: close\r\n" in talk.transport.written[0]
            assert talk.transport.closed


class TestHangingUp:
    async def test_an_idle_connection_is_closed(self) -> None:
        """Once nothing has come in for long enough."""
        talk = Talk()
        talk.say(HIT)
        sweeping = asyncio.create_task(sweep_idle(talk.state.connections, 5.0, every_s=0.0))
        await talk.settle()
        early = talk.transport.closed

        talk.lane.seen_s -= 6.0
        await talk.settle()
        sweeping.cancel()

        assert (early, talk.transport.closed, talk.transport.aborted) == (False, True, False)

    async def test_a_client_that_reads_nothing_is_cut_off(self) -> None:
        """Closing would wait for it for ever."""
        talk = Talk()
        talk.lane.pause_writing()

        talk.lane.hang_up()

        assert talk.transport.aborted

    async def test_a_request_under_way_is_not_idle(self) -> None:
        """However long it takes."""
        talk = Talk()
        talk.say(MISS)
        talk.lane.seen_s -= 100.0
        sweeping = asyncio.create_task(sweep_idle(talk.state.connections, 5.0, every_s=0.0))

        await talk.settle()
        sweeping.cancel()

        assert not talk.transport.closed


class TestDraining:
    async def test_the_next_answer_is_the_last(self) -> None:
        """It says so, and the connection ends behind it."""
        talk = Talk()
        talk.allowed.set()
        talk.say(HIT)
        drain(talk.protocol, talk.state.connections)
        before = talk.transport.closed

        talk.say(HIT)
        await talk.settle()

        assert not before
        assert b"connection: close" in b"".join(talk.transport.written[1:])
        assert talk.transport.closed

    async def test_what_is_under_way_is_answered(self) -> None:
        """And then the connection ends."""
        talk = Talk()
        talk.say(MISS)
        await talk.settle()
        drain(talk.protocol, talk.state.connections)

        talk.allowed.set()
        await talk.settle()

        assert b"connection: close" in talk.transport.written[0]
        assert talk.transport.closed


class TestSupport:
    async def test_the_installed_uvicorn_will_do(self) -> None:
        """If this fails, an upgrade of uvicorn has changed what the lane relies on: edges fall back to plain ASGI."""
        assert await lane_is_supported()

    @pytest.mark.parametrize("name", ["on_message_begin", "on_headers_complete", "send_400_response", "on_header"])
    async def test_a_method_that_is_gone_is_noticed(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        """Before anybody is served."""
        monkeypatch.delattr(HttpToolsProtocol, name)

        assert not await lane_is_supported()

    async def test_a_method_that_does_something_else_is_noticed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before anybody is served."""
        monkeypatch.setattr(HttpToolsProtocol, "on_body", lambda self, body: None)

        assert not await lane_is_supported()
