from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.redis_binary import RedisBinary
from deploy.local.redis_plan import PairPlan, plan_pair

BINARY = RedisBinary(Path("/usr/bin/redis-server"), "redis", (7, 0, 15))


def plan(*, persist: bool) -> PairPlan:
    """A pair on fixed ports."""
    return plan_pair(BINARY, Path("/data dir"), primary_port=6000, replica_port=6001, persist=persist)


def option(argv: tuple[str, ...], name: str) -> list[str]:
    """The words that follow an option."""
    start = argv.index(f"--{name}") + 1
    values = []
    for word in argv[start:]:
        if word.startswith("--"):
            break
        values.append(word)
    return values


def test_both_servers_run_the_same_program() -> None:
    """A replica must not be older than its primary."""
    pair = plan(persist=True)

    assert pair.primary.argv[0] == pair.replica.argv[0] == "/usr/bin/redis-server"


def test_the_replica_follows_the_primary_and_takes_no_writes() -> None:
    """The replica copies from the port of the primary, read-only."""
    pair = plan(persist=True)

    assert option(pair.replica.argv, "replicaof") == ["127.0.0.1", "6000"]
    assert option(pair.replica.argv, "replica-read-only") == ["yes"]
    assert "--replicaof" not in pair.primary.argv


@pytest.mark.parametrize("persist", [True, False])
def test_only_a_primary_that_persists_writes_files(*, persist: bool) -> None:
    """Snapshots are off everywhere; the append-only file is on where data must survive."""
    pair = plan(persist=persist)

    assert option(pair.primary.argv, "appendonly") == ["yes" if persist else "no"]
    assert option(pair.replica.argv, "appendonly") == ["no"]
    assert option(pair.primary.argv, "save") == option(pair.replica.argv, "save") == [""]


def test_both_servers_listen_on_loopback_only_and_evict_only_what_expires() -> None:
    """Nobody else on the network can reach them, and a full server never gives up feature rows."""
    pair = plan(persist=False)

    for server in (pair.primary, pair.replica):
        assert option(server.argv, "bind") == ["127.0.0.1"]
        assert option(server.argv, "protected-mode") == ["yes"]
        assert option(server.argv, "maxmemory-policy") == ["volatile-lfu"]


def test_each_server_has_a_folder_and_a_url_of_its_own() -> None:
    """A folder name with a space in it stays one word."""
    pair = plan(persist=False)

    assert option(pair.primary.argv, "dir") == ["/data dir/primary"]
    assert option(pair.replica.argv, "dir") == ["/data dir/replica"]
    assert (pair.primary.url, pair.replica.url) == ("redis://127.0.0.1:6000/0", "redis://127.0.0.1:6001/0")
