"""The link's protocol, against a server of the test's own behind a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hiredis
import pytest
import uvloop

from edge import redis_wire
from edge.link import Link
from precompute.errors import ConfigError, Overloaded, StoreUnavailable
from precompute.store import CommandFailed
from tests.waiting import until

TIMEOUT_S = 5.0


class Server:
    """Echoes the argument of each ECHO; what else it does to its connections is up to the test."""

    def __init__(self) -> None:
        self.server: asyncio.Server
        self.port = 0
        self.connections = 0
        self.received: list[list[bytes]] = []
        #: Closed, it reads commands but answers nothing.
        self.gate = asyncio.Event()
        self.gate.set()
        self.piece_bytes = 0
        self.greeting = b"+OK\r\n"
        self.writers: list[asyncio.StreamWriter] = []

    async def start(self, port: int = 0) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self.server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        parser = hiredis.Reader()
        while data := await reader.read(65536):
            parser.feed(data)
            replies = []
            while (command := parser.gets()) is not False:
                self.received.append(command)
                replies.append(self._reply(command))
            await self.gate.wait()
            await self._write(writer, b"".join(replies))
        writer.close()

    def _reply(self, command: list[bytes]) -> bytes:
        match command[0]:
            case b"ECHO":
                return b"$%d\r\n%s\r\n" % (len(command[1]), command[1])
            case b"FAIL":
                return b"-ERR no\r\n"
            case b"GARBAGE":
                return b"?what\r\n"
            case b"TWICE":
                return b"+OK\r\n+OK\r\n"
        return self.greeting

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        size = self.piece_bytes or max(1, len(data))
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            await writer.drain()
            await asyncio.sleep(0)

    def hang_up(self) -> None:
        """Drops every connection."""
        for writer in self.writers:
            writer.transport.abort()
        self.writers = []

    async def stop(self) -> None:
        self.server.close()
        self.hang_up()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server that answers."""
    server = Server()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def connect(server: Server) -> AsyncIterator[Callable[..., Link]]:
    """Makes links to the server, and closes them."""
    links: list[Link] = []

    def made(**options: float) -> Link:
        links.append(Link(server.url, **{"timeout_s": TIMEOUT_S, **options}))
        return links[-1]

    yield made
    server.gate.set()
    for link in links:
        await link.close()


def echo(text: object) -> tuple[str, str]:
    """A command that the server answers with its argument."""
    return ("ECHO", str(text))


async def test_replies_come_back_to_those_who_asked(server: Server, connect: Callable[..., Link]) -> None:
    """In order, however many pipelines of whatever length are on their way."""
    link = connect()
    await link.open()

    pipelines = [link.run([echo(f"{i}.{j}") for j in range(i % 5 + 1)]) for i in range(100)]

    for i, replies in enumerate(await asyncio.gather(*pipelines)):
        assert replies == [b"%d.%d" % (i, j) for j in range(i % 5 + 1)]


@pytest.mark.parametrize("piece_bytes", [1, 2, 7])
async def test_replies_may_arrive_in_pieces(server: Server, connect: Callable[..., Link], piece_bytes: int) -> None:
    """A network cuts where it likes."""
    server.piece_bytes = piece_bytes
    link = connect()
    await link.open()

    replies = await asyncio.gather(*(link.run([echo("x" * i), echo(i)]) for i in range(20)))

    assert replies == [[b"x" * i, b"%d" % i] for i in range(20)]


@contextmanager
def recorded(link: Link) -> Iterator[list[bytes]]:
    """What a connected link writes meanwhile."""
    wire = link._wire
    assert wire is not None
    transport, writes = wire._transport, list[bytes]()
    wire._transport = _Recorder(transport, writes)  # type: ignore[assignment]
    yield writes
    wire._transport = transport


async def test_commands_of_one_turn_leave_together(connect: Callable[..., Link]) -> None:
    """One write, one system call."""
    link = connect()
    await link.open()

    with recorded(link) as writes:
        await asyncio.gather(*(link.run([echo(i)]) for i in range(50)))

    assert len(writes) == 1


async def test_what_is_sent_leaves_at_once(connect: Callable[..., Link]) -> None:
    """Together with what was run before, and in that order."""
    link = connect()
    await link.open()
    came: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    with recorded(link) as writes:
        first = link.run([echo(1)])
        link.send([echo(2)], came.set_result)
        left = len(writes)
        third = link.run([echo(3)])

        assert await asyncio.gather(first, came, third) == [[b"1"], [b"2"], [b"3"]]
    assert (left, len(writes)) == (1, 2)


async def test_who_is_told_cannot_take_the_others_along(
    connect: Callable[..., Link], caplog: pytest.LogCaptureFixture
) -> None:
    """A mistake of theirs is in the log, and the connection goes on."""
    link = connect()
    await link.open()

    def fail(outcome: object) -> None:
        raise ZeroDivisionError(str(outcome))

    link.send([echo(1)], fail)

    assert await link.run([echo(2)]) == [b"2"]
    assert "ZeroDivisionError: [b'1']" in caplog.text


async def test_a_refused_command_says_nothing_about_its_neighbours(connect: Callable[..., Link]) -> None:
    """Its error stands in the list."""
    link = connect()
    await link.open()

    first, refused, last = await link.run([echo(1), ("FAIL",), echo(2)])

    assert (first, last) == (b"1", b"2")
    assert isinstance(refused, CommandFailed)


async def test_nothing_asked_is_answered_at_once_and_shifts_nobody(connect: Callable[..., Link]) -> None:
    """An empty pipeline has no reply to wait for."""
    link = connect()
    await link.open()

    told: list[object] = []
    link.send([], told.append)
    nothing, something = await asyncio.gather(link.run([]), link.run([echo(1)]))

    assert (told, nothing, something) == ([[]], [], [b"1"])


async def test_a_wait_given_up_never_shifts_replies(server: Server, connect: Callable[..., Link]) -> None:
    """The reply to an abandoned command is awaited and dropped; the next caller gets its own."""
    link = connect()
    await link.open()
    server.gate.clear()
    waits = [asyncio.create_task(_result(link, i)) for i in range(30)]
    await until(lambda: _true([b"ECHO", b"29"] in server.received))
    for wait in waits[::3]:
        wait.cancel()
    await asyncio.gather(*waits[::3], return_exceptions=True)
    later = [asyncio.create_task(_result(link, i)) for i in range(100, 110)]

    server.gate.set()

    kept = [wait for i, wait in enumerate(waits) if i % 3]
    assert await asyncio.gather(*kept) == [b"%d" % i for i in range(30) if i % 3]
    assert await asyncio.gather(*later) == [b"%d" % i for i in range(100, 110)]


async def test_a_silent_server_fails_everything_in_flight_and_is_left(
    server: Server, connect: Callable[..., Link]
) -> None:
    """The oldest command bounds the wait of all; a new connection is made."""
    link = connect(timeout_s=0.25)
    await link.open()
    server.gate.clear()

    results = await asyncio.gather(link.run([echo(1)]), link.run([echo(2), echo(3)]), return_exceptions=True)
    server.gate.set()
    await until(lambda: _true(server.connections > 1 and link.is_connected))

    assert [str(error) for error in results] == ["Redis connection lost: no reply for 0.25 s"] * 2
    assert await link.run([echo(4)]) == [b"4"]
    assert link.reconnects >= 1


async def test_a_server_that_answers_slowly_but_steadily_is_kept(server: Server, connect: Callable[..., Link]) -> None:
    """Each command has its own time; an idle connection has none."""
    link = connect(timeout_s=1.0)
    await link.open()
    for i in range(5):
        await link.run([echo(i)])

    assert link._wire is not None
    link._wire._check_wait()

    assert link.is_connected
    assert server.connections == 1


async def test_a_lost_connection_fails_everything_in_flight(server: Server, connect: Callable[..., Link]) -> None:
    """Nobody waits for a reply that cannot come, and calls in between fail at once."""
    link = connect()
    await link.open()
    server.gate.clear()
    told: list[object] = []
    lost = link.run([echo(1)])
    link.send([echo(1)], told.append)
    await until(lambda: _true([b"ECHO", b"1"] in server.received))
    server.server.close()

    server.hang_up()

    with pytest.raises(StoreUnavailable, match="connection lost"):
        await lost
    assert [type(outcome) for outcome in told] == [StoreUnavailable]
    with pytest.raises(StoreUnavailable):
        link.run([echo(2)])
    with pytest.raises(StoreUnavailable):
        link.send([echo(2)], told.append)


def test_commands_to_what_is_just_closing_fail_and_nothing_else() -> None:
    """uvloop closes a connection some time before it says so; that is no error of its own."""
    errors: list[dict[str, Any]] = []

    async def ask() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        server = Server()
        await server.start()
        link = Link(server.url, timeout_s=TIMEOUT_S)
        await link.open()
        assert link._wire is not None
        assert link._wire._transport is not None
        link._wire._transport.close()
        reply = link.run([echo(1)])
        with pytest.raises(StoreUnavailable, match="connection lost"):
            await reply
        await link.close()
        await server.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(ask())

    assert errors == []


async def test_it_connects_again_when_the_server_is_back(server: Server, connect: Callable[..., Link]) -> None:
    """However often that takes."""
    link = connect()
    await link.open()
    await server.stop()
    await until(lambda: _true(link.reconnects >= 2))

    await server.start(server.port)
    await link.connected.wait()

    assert await link.run([echo(1)]) == [b"1"]


@pytest.mark.parametrize("command", ["GARBAGE", "TWICE"])
async def test_a_server_out_of_step_is_left(server: Server, connect: Callable[..., Link], command: str) -> None:
    """After a reply that is no Redis, or that nobody asked for, no other can be trusted."""
    link = connect()
    await link.open()

    await asyncio.gather(link.run([(command,)]), return_exceptions=True)
    await until(lambda: _true(server.connections == 2 and link.is_connected))

    assert await link.run([echo(1)]) == [b"1"]


async def test_what_may_be_in_flight_is_bounded(
    server: Server, connect: Callable[..., Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More is refused, and what is under way is not disturbed."""
    monkeypatch.setattr(redis_wire, "MAX_IN_FLIGHT", 10)
    link = connect()
    await link.open()
    server.gate.clear()
    under_way = link.run([echo(i) for i in range(8)])

    with pytest.raises(Overloaded):
        link.run([echo(i) for i in range(3)])

    server.gate.set()
    assert len(await under_way) == 8
    assert len(await link.run([echo(i) for i in range(10)])) == 10


async def test_a_server_that_is_not_there_is_one_clear_error() -> None:
    """With the address, and without the password."""
    link = Link("redis://me:secret@127.0.0.1:1/0", timeout_s=TIMEOUT_S)

    with pytest.raises(StoreUnavailable, match=r"redis://\*\*\*@127\.0\.0\.1:1/0 is unavailable") as failure:
        await link.open()

    assert "secret" not in str(failure.value)


async def test_a_server_that_refuses_the_greeting_is_one_clear_error(
    server: Server, connect: Callable[..., Link]
) -> None:
    """A wrong password must not look like a network that comes and goes."""
    server.greeting = b"-NOAUTH Authentication required.\r\n"

    with pytest.raises(StoreUnavailable, match="refuses us: NOAUTH"):
        await connect().open()


async def test_a_server_silent_at_the_greeting_is_not_waited_for_long(
    server: Server, connect: Callable[..., Link]
) -> None:
    """And its connection is closed."""
    server.gate.clear()
    link = connect(timeout_s=0.25)

    with pytest.raises(StoreUnavailable, match="no answer in time"):
        await link.open()
    server.gate.set()

    await until(lambda: _true(all(writer.is_closing() for writer in server.writers)))


async def test_it_logs_in_and_chooses_its_database(server: Server) -> None:
    """As the URL says, before anything else is sent."""
    link = Link(f"redis://me:secret@127.0.0.1:{server.port}/3", timeout_s=TIMEOUT_S, name="nearcast-test")

    await link.open()
    await link.close()

    assert server.received == [
        [b"AUTH", b"me", b"secret"],
        [b"SELECT", b"3"],
        [b"CLIENT", b"SETNAME", b"nearcast-test"],
    ]


async def test_a_server_that_is_away_is_waited_for_if_we_can_do_without() -> None:
    """An edge starts while the primary is away, and finds it when it comes."""
    server = Server()
    await server.start()
    await server.stop()
    link = Link(server.url, timeout_s=TIMEOUT_S)
    opening = asyncio.create_task(link.open_eventually())
    await until(lambda: _true(link.reconnects >= 1))

    await server.start(server.port)
    await opening

    assert await link.run([echo(1)]) == [b"1"]
    await link.close()
    await server.stop()


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:6379/0", "redis://h:port/0"])
def test_a_url_that_is_none_is_a_configuration_error(url: str) -> None:
    """Found before anything is started."""
    with pytest.raises(ConfigError, match="not a Redis URL"):
        Link(url, timeout_s=1.0)


class _Recorder:
    def __init__(self, transport: object, writes: list[bytes]) -> None:
        self._transport, self._writes = transport, writes

    def is_closing(self) -> bool:
        return self._transport.is_closing()  # type: ignore[attr-defined, no-any-return]

    def write(self, data: bytes) -> None:
        self._writes.append(data)
        self._transport.write(data)  # type: ignore[attr-defined]


async def _result(link: Link, i: int) -> object:
    (reply,) = await link.run([echo(i)])
    return reply


async def _true(answer: bool) -> bool:
    return answer
