"""The way to Redis: pipelines, errors that say what they mean, and connections that are never mixed up."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import pytest

from deploy.local.ports import free_port
from deploy.local.redis_pair import RedisPair
from precompute.errors import ConfigError, StoreUnavailable
from precompute.store import MINIMUM_VERSION, CommandFailed, Store, checked, display_url
from precompute.updates import LogState, as_of_commands, as_of_id, parse_as_of
from tests.waiting import wait_until

pytestmark = pytest.mark.integration


def test_replies_come_back_in_order(store: Store) -> None:
    """Bytes, numbers, lists and nothing, one reply for each command."""
    replies = store.run(
        [("SET", "a", b"\x00\xff"), ("GET", "a"), ("INCR", "n"), ("MGET", "a", "none"), ("GET", "none")]
    )

    assert replies == [b"OK", b"\x00\xff", 1, [b"\x00\xff", None], None]


def test_a_refused_command_costs_no_neighbour(store: Store) -> None:
    """The error stands in its place, code and all."""
    replies = store.run([("SET", "a", 1), ("LPUSH", "a", 1), ("INCR", "a")])

    assert (replies[0], replies[2]) == (b"OK", 2)
    assert isinstance(replies[1], CommandFailed)
    with pytest.raises(CommandFailed, match=r"^WRONGTYPE"):
        checked(replies[1])


def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    """A command that Redis cannot take keeps the others out; one that fails later is reported as ours."""
    with pytest.raises(CommandFailed):
        store.atomically([("SET", "a", 1), ("NOSUCHCOMMAND",)])
    assert store.call("EXISTS", "a") == 0

    with pytest.raises(CommandFailed, match=r"^WRONGTYPE"):
        store.atomically([("SET", "a", 1), ("LPUSH", "a", 1)])
    assert store.atomically([("INCR", "a"), ("GET", "a")]) == [2, b"2"]


def test_a_server_that_is_not_there_is_unavailable() -> None:
    """Nobody listens: one line with the address, and no password in it."""
    port = free_port()
    store = Store(f"redis://:secret@127.0.0.1:{port}/0", connect_timeout_s=0.5)

    with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port}") as caught:
        store.call("PING")

    assert "secret" not in str(caught.value)
    assert display_url(store.url) == f"redis://***@127.0.0.1:{port}/0"


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    """A connection that is accepted and then silent costs the timeout and no more."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = Store(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", timeout_s=0.2, connect_timeout_s=0.2)

        with pytest.raises(StoreUnavailable, match="unavailable"):
            store.call("PING")


def test_a_server_that_is_no_redis_is_unavailable() -> None:
    """Another protocol behind the port is reported, not a traceback of the client."""

    def answer(server: socket.socket) -> None:
        # As often as it is tried, until the listener is closed or the client has gone.
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.recv(100)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        web = threading.Thread(target=answer, args=(server,), daemon=True)
        web.start()
        store = Store(f"redis://127.0.0.1:{server.getsockname()[1]}/0", timeout_s=2)

        with pytest.raises((StoreUnavailable, ConfigError)):
            store.call("PING")
        # Wakes the thread that accepts; closing alone does not.
        server.shutdown(socket.SHUT_RDWR)
        web.join()


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "127.0.0.1:6379", "redis://127.0.0.1:port/0"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """A wrong URL is a mistake of the configuration, found before anything is sent."""
    with pytest.raises(ConfigError, match="not a Redis URL"):
        Store(url)


def test_a_database_that_does_not_exist_is_a_mistake(any_redis: RedisPair) -> None:
    """The server refuses the connection for good."""
    store = Store(any_redis.primary_url.replace("/0", "/99"))

    with pytest.raises(ConfigError, match="DB index is out of range"):
        store.call("PING")


def test_a_password_that_is_asked_for_is_a_mistake(any_redis: RedisPair, store: Store) -> None:
    """A server with a password refuses us in one line."""
    store.call("CONFIG", "SET", "requirepass", "secret")
    try:
        without = Store(any_redis.primary_url)
        with pytest.raises(ConfigError, match="refuses our password"):
            without.call("PING")
        with_it = Store(any_redis.primary_url.replace("://", "://:secret@"))
        assert with_it.call("PING") == b"PONG"
    finally:
        store.call("CONFIG", "SET", "requirepass", "")


def test_a_replica_is_no_place_to_write(any_redis: RedisPair) -> None:
    """READONLY passes when the right server is asked: it is "not now", and never a success."""
    replica = Store(any_redis.replica_url)

    with pytest.raises(StoreUnavailable, match="READONLY"):
        replica.call("SET", "a", 1)
    with pytest.raises(StoreUnavailable, match="READONLY"):
        replica.call("EVAL", "return redis.call('SET', KEYS[1], 1)", 1, "a")


def test_a_full_server_is_unavailable(store: Store) -> None:
    """OOM, from a command and from inside a script, is "not now"."""
    store.call("CONFIG", "SET", "maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable, match="OOM"):
            store.call("SET", "a", 1)
        with pytest.raises(StoreUnavailable, match="OOM"):
            store.call("EVAL", "return redis.call('SET', KEYS[1], 1)", 1, "a")
    finally:
        store.call("CONFIG", "SET", "maxmemory", 0)


def test_a_connection_with_unread_replies_serves_nobody_else(store: Store) -> None:
    """Whoever leaves early, with or without an error, leaves no reply for the next one to take for theirs."""
    with store.lease() as link:
        link.send([("ECHO", "mine")])
    with pytest.raises(RuntimeError), store.lease() as link:
        link.send([("ECHO", "mine")])
        raise RuntimeError

    assert [store.call("ECHO", "theirs") for _ in range(20)] == [b"theirs"] * 20


def test_a_closed_connection_is_replaced(store: Store) -> None:
    """After the server has hung up on everybody, the next command connects again."""
    store.call("PING")
    with pytest.raises(StoreUnavailable):
        store.run([("CLIENT", "KILL", "SKIPME", "no", "TYPE", "normal"), ("PING",)])

    assert store.call("PING") == b"PONG"


def test_leases_are_bounded(any_redis: RedisPair) -> None:
    """More users than connections wait, and not for ever."""
    store = Store(any_redis.primary_url, connections=1, timeout_s=0.1)

    with store.lease(), pytest.raises(StoreUnavailable):
        store.call("PING")

    assert store.call("PING") == b"PONG"


def test_the_version_of_the_server_is_checked(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that lacks what we use is refused with its version and ours."""
    store.check_version()
    assert MINIMUM_VERSION == (6, 2)

    monkeypatch.setattr("precompute.store.MINIMUM_VERSION", (99, 0))
    with pytest.raises(ConfigError, match=r"nearcast needs 99.0 or newer"):
        store.check_version()


def test_what_a_reader_knows_comes_from_real_logs(store: Store, any_redis: RedisPair) -> None:
    """Both servers tell one history, and where each log ends; a log that does not exist is at 0."""
    last = store.call("XADD", "u:{weather}", "5-7", "e", "JFK")
    store.call("WAIT", 1, 5000)
    replica = Store(any_redis.replica_url)

    here, there = (parse_as_of(s.run(as_of_commands(["weather", "none"]))) for s in (store, replica))

    assert here == there
    assert here.ids == (as_of_id(last), 0)


def test_a_trimmed_log_says_what_it_has_forgotten(store: Store) -> None:
    """The floor rises with the first record kept, and to the end when none is left."""
    for ms in (5, 6, 7):
        store.call("XADD", "u:{weather}", f"{ms}-0", "e", "JFK")
    store.call("XTRIM", "u:{weather}", "MINID", "6-0")
    trimmed = LogState.parse(store.call("XINFO", "STREAM", "u:{weather}"))
    store.call("XTRIM", "u:{weather}", "MAXLEN", 0)
    emptied = LogState.parse(store.call("XINFO", "STREAM", "u:{weather}"))

    assert (trimmed.floor, trimmed.length) == (as_of_id("6-0"), 2)
    assert (emptied.floor, emptied.length, emptied.first) == (as_of_id("7-0"), 0, 0)


def test_a_server_that_comes_back_is_used_again(any_redis: RedisPair, store: Store) -> None:
    """While it is gone every call fails in time, and afterwards the same store works."""
    assert store.call("PING") == b"PONG"

    any_redis.restart_primary()

    wait_until(lambda: store.call("PING") == b"PONG")
