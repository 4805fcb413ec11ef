"""How the embedded primary and replica are set up. Starts nothing.

Both run the same program, because an older replica cannot read what a newer primary sends. The primary
alone keeps data on disk; a replica gets everything from it again within moments, so a second copy on the
same disk is of no use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.ports import LOOPBACK
from deploy.local.redis_binary import RedisBinary

#: A short break of the link is bridged from this much of the stream instead of copying everything again.
_BACKLOG = "16mb"

#: How soon either side notices a frozen peer. The default of 60 s suits links that are slow, not loopback.
_LINK_TIMEOUT_S = 15

Settings = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlan:
    """One server that could be started."""

    name: str
    argv: tuple[str, ...]
    port: int
    directory: Path
    #: Open files that the server holds as long as it lives: the lock of its data.
    pass_fds: tuple[int, ...] = ()
    #: Whether it interrupts nobody when it wakes.
    batch: bool = False

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://{LOOPBACK}:{self.port}/0"


@dataclass(frozen=True, slots=True)
class PairPlan:
    """A primary and the replica that follows it."""

    primary: ServerPlan
    replica: ServerPlan


def plan_pair(binary: RedisBinary, directory: Path, *, primary_port: int, replica_port: int, persist: bool) -> PairPlan:
    """Plans both servers, each in a folder of its own in `directory`."""
    follow: Settings = {"replicaof": (LOOPBACK, str(primary_port)), "replica-read-only": "yes"}
    return PairPlan(
        _plan_server("primary", binary, directory, primary_port, _persistence(keep=persist)),
        # A job wakes it thousands of times a second; were an edge interrupted each time that shares its core, whoever
        # asks that edge would wait for the job.
        _plan_server("replica", binary, directory, replica_port, {**_persistence(keep=False), **follow}, batch=True),
    )


def _plan_server(
    name: str, binary: RedisBinary, directory: Path, port: int, settings: Settings, *, batch: bool = False
) -> ServerPlan:
    folder = directory / name
    options: list[str] = []
    for key, value in {**_common(folder, port), **settings}.items():
        options += [f"--{key}", *([value] if isinstance(value, str) else value)]
    return ServerPlan(name=name, argv=(str(binary.path), *options), port=port, directory=folder, batch=batch)


def _common(folder: Path, port: int) -> Settings:
    return {
        "bind": LOOPBACK,
        "port": str(port),
        "protected-mode": "yes",
        "dir": str(folder),
        "daemonize": "no",
        # Rows have no expiry and entries have one, so a full server gives up predictions and never features.
        "maxmemory-policy": "volatile-lfu",
        # By way of a file: after a diskless copy the primary waits for a sign of life, which comes once a second,
        # before it sends on what has changed meanwhile.
        "repl-diskless-sync": "no",
        # A server that keeps no data does not keep that file either.
        "rdb-del-sync-files": "yes",
        "repl-diskless-load": "on-empty-db",
        "repl-ping-replica-period": "1",
        "repl-timeout": str(_LINK_TIMEOUT_S),
        "repl-backlog-size": _BACKLOG,
    }


def _persistence(*, keep: bool) -> Settings:
    # The append-only file loses at most a second at a power cut, snapshots lose minutes. Snapshots are off
    # both ways: with the file on they would only repeat it.
    return {"save": "", "appendonly": "yes" if keep else "no", "appendfsync": "everysec"}
