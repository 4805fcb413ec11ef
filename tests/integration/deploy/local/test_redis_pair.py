from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from deploy.local.ports import LOOPBACK
from deploy.local.redis_binary import RedisBinary, look_at_candidates
from deploy.local.redis_pair import RedisPair, RedisServer
from deploy.local.redis_probe import ask, info
from precompute.errors import ConfigError
from tests.waiting import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture(params=look_at_candidates()[0], ids=str)
def binary(request: pytest.FixtureRequest) -> RedisBinary:
    """Every server of this machine, the one in the wheel at least."""
    found: RedisBinary = request.param
    return found


def value(server: RedisServer, key: str) -> str:
    """What the server has under a key; `$-1` means nothing."""
    return ask(server.port, f"GET {key}").splitlines()[-1]


def test_what_is_written_to_the_primary_arrives_at_the_replica(binary: RedisBinary) -> None:
    """A pair replicates from the moment it has started."""
    with RedisPair.start(None, persist=False, binary=binary) as pair:
        answer = ask(pair.primary.port, "SET a 1\r\nWAIT 1 10000", timeout_s=11)

        assert answer.split() == ["+OK", ":1"]
        assert value(pair.replica, "a") == "1"


def test_the_replica_takes_no_writes(redis_pair: RedisPair) -> None:
    """Only the primary changes data."""
    answer = ask(redis_pair.replica.port, "SET a 1")

    assert answer.startswith("-READONLY")


def test_data_survives_a_restart_of_the_stack(binary: RedisBinary, tmp_path: Path) -> None:
    """A second pair in the same directory starts with the first one's data, on both sides."""
    directory = tmp_path / "data, with spaces"
    with RedisPair.start(directory, persist=True, binary=binary) as pair:
        ask(pair.primary.port, "SET a 1")

    with RedisPair.start(directory, persist=True, binary=binary) as pair:
        values = value(pair.primary, "a"), value(pair.replica, "a")

    assert values == ("1", "1")


def test_data_survives_a_killed_primary(binary: RedisBinary, tmp_path: Path) -> None:
    """What the primary has confirmed is there after `kill -9`."""
    with RedisPair.start(tmp_path, persist=True, binary=binary) as pair:
        ask(pair.primary.port, "SET a 1")
        pair.primary.process.kill()

        pair.restart_primary()

        assert (value(pair.primary, "a"), value(pair.replica, "a")) == ("1", "1")


def test_a_killed_replica_comes_back_on_its_port_with_everything(binary: RedisBinary) -> None:
    """The replica's data comes from the primary, so its loss costs nothing."""
    with RedisPair.start(None, persist=False, binary=binary) as pair:
        ask(pair.primary.port, "SET a 1")
        pair.replica.process.kill()

        pair.restart_replica()

        assert value(pair.replica, "a") == "1"


def test_without_persistence_nothing_but_logs_is_written(tmp_path: Path) -> None:
    """A demo leaves no data behind."""
    with RedisPair.start(tmp_path, persist=False) as pair:
        ask(pair.primary.port, "SET a 1")

        # The copy for the replica goes a moment after it was used.
        wait_until(lambda: _files(tmp_path) == {"lock", "written-by", "redis.log"})

    assert _files(tmp_path) == {"lock", "written-by", "redis.log"}


def _files(directory: Path) -> set[str]:
    return {path.name for path in directory.rglob("*") if path.is_file()}


def test_a_temporary_directory_goes_with_the_pair() -> None:
    """Without a directory of its own a pair leaves none behind."""
    with RedisPair.start(None, persist=False) as pair:
        directory = pair.primary.log_path.parent.parent
        assert directory.exists()

    assert not directory.exists()


def test_a_stopped_pair_has_no_processes(redis_pair: RedisPair) -> None:
    """Stopping waits for the end of both servers, a frozen one included."""
    pair = RedisPair.start(None, persist=False)
    pair.replica.process.send_signal(signal.SIGSTOP)

    pair.stop()

    assert pair.primary.process.returncode is not None
    assert pair.replica.process.returncode is not None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux schedules batches otherwise")
def test_the_replica_interrupts_nobody_after_a_restart_either(own_redis_pair: RedisPair) -> None:
    """The edge beside it is not to wait for what a job stores."""
    own_redis_pair.restart_replica()

    servers = (own_redis_pair.primary, own_redis_pair.replica)
    policies = [os.sched_getscheduler(server.process.pid) for server in servers]

    assert policies == [os.SCHED_OTHER, os.SCHED_BATCH]


@pytest.mark.parametrize("replica", [False, True], ids=["primary", "replica"])
def test_a_port_that_is_taken_is_one_clear_line(free_port: int, *, replica: bool) -> None:
    """The error names the port."""
    ports = (0, free_port) if replica else (free_port, 0)
    with socket.create_server((LOOPBACK, free_port)), pytest.raises(ConfigError) as caught:
        RedisPair.start(None, persist=False, primary_port=ports[0], replica_port=ports[1])

    assert str(caught.value) == f"port {free_port} on 127.0.0.1 is taken; choose another one for Redis"


def test_a_second_pair_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    """The first pair goes on undisturbed."""
    with RedisPair.start(tmp_path, persist=True) as pair:
        with pytest.raises(ConfigError, match="in use by another nearcast"):
            RedisPair.start(tmp_path, persist=True)

        assert pair.primary.is_ready()


def test_a_program_that_ends_at_once_is_one_clear_line(tmp_path: Path) -> None:
    """The last line of the server's log says why it did not start."""
    server = tmp_path / "redis-server"
    server.write_text("#!/bin/sh\necho out of luck\nexit 3\n")
    server.chmod(0o755)

    with pytest.raises(ConfigError, match=r"redis-server ended on port \d+: out of luck"):
        RedisPair.start(None, persist=False, binary=RedisBinary(server, "redis", (7, 0, 0)))


def test_a_foreign_server_on_the_port_is_not_taken_for_ours(own_redis_pair: RedisPair) -> None:
    """Ready means that the process we started answers, not just any Redis."""
    server = own_redis_pair.replica
    server.stop()
    server.port = own_redis_pair.primary.port

    answer = server.is_ready()

    assert not answer


def test_an_emptied_pair_is_empty_on_both_sides(redis_pair: RedisPair, request: pytest.FixtureRequest) -> None:
    """`clean_redis` returns only once the replica has forgotten everything too."""
    ask(redis_pair.primary.port, "SET a 1")

    pair: RedisPair = request.getfixturevalue("clean_redis")

    assert (value(pair.primary, "a"), value(pair.replica, "a")) == ("$-1", "$-1")


def test_the_replica_notices_when_its_primary_is_gone(own_redis_pair: RedisPair) -> None:
    """A lost link shows on the replica, which goes on answering."""
    own_redis_pair.primary.process.kill()

    wait_until(lambda: info(own_redis_pair.replica.port)["master_link_status"] == "down")

    assert own_redis_pair.replica.is_ready()
