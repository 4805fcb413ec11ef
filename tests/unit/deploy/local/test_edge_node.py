"""What `nearcast edge --processes` would start."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import SecretStr

from deploy.local.child import Child
from deploy.local.edge_node import RESTARTS, edge_children
from deploy.local.restart_policy import Restart, RestartPolicy
from precompute.settings import Settings

SETTINGS = Settings(
    project=Path("p.toml"),
    primary_url="redis://core/0",
    replica_url="redis://near/0",
    memory_max_bytes=1000,
    admin_token=SecretStr("secret"),
)


def children(settings: Settings = SETTINGS) -> list[Child]:
    """Three of them."""
    return edge_children(settings, Path("/private"), [7, 8, 9], {"PATH": "/bin"})


def test_each_process_has_a_slot_and_all_sockets() -> None:
    """Its own to accept from, the others' to help out."""
    found = children()

    assert [child.name for child in found] == ["edge-1", "edge-2", "edge-3"]
    for number, child in enumerate(found):
        assert child.argv[child.argv.index("--number") + 1] == str(number)
        assert [child.argv[at + 1] for at, text in enumerate(child.argv) if text == "--listener"] == ["7", "8", "9"]
        assert child.argv[child.argv.index("--parent") + 1] == str(os.getpid())
        assert child.pass_fds == (7, 8, 9)


def test_memory_is_shared_out() -> None:
    """Together they keep what one would."""
    limits = [int((child.env or {})["NEARCAST_MEMORY_MAX_BYTES"]) for child in children()]

    assert limits == [333, 333, 333]


def test_what_the_command_line_said_is_handed_on() -> None:
    """By environment, as everywhere; secrets stay where they came from."""
    env = dict(children()[0].env or {})

    assert env["PATH"] == "/bin"
    assert env["NEARCAST_PROJECT"] == str(Path("p.toml").resolve())
    assert (env["NEARCAST_PRIMARY_URL"], env["NEARCAST_REPLICA_URL"]) == ("redis://core/0", "redis://near/0")
    assert "secret" not in str(env)


def test_without_a_replica_they_read_the_primary() -> None:
    """Whatever the environment says about another one was known when the settings were made."""
    env = dict(children(SETTINGS.model_copy(update={"replica_url": None}))[0].env or {})

    assert env["NEARCAST_REPLICA_URL"] == "redis://core/0"


def test_a_process_that_cannot_start_again_is_tried_for_ever() -> None:
    """The others answer meanwhile; a node that ended would answer nobody. No more than once in five seconds."""
    policy = RestartPolicy(RESTARTS)

    verdicts = [policy.died(started_s=float(n), now_s=n + 0.5) for n in range(100)]

    assert verdicts[:5] == [Restart(0.5), Restart(1.0), Restart(2.0), Restart(4.0), Restart(5.0)]
    assert set(verdicts[5:]) == {Restart(5.0)}


def test_a_first_start_that_fails_on_purpose_is_final() -> None:
    """Its reason is told at once, as by a single process."""
    assert {status for child in children() for status in child.final_statuses} == {1, 2}
