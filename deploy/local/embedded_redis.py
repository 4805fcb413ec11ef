"""Chooses program, directory and ports of the embedded Redis, for whoever runs it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from deploy.local.child import Child
from deploy.local.data_directory import DataDirectory
from deploy.local.ports import LOOPBACK, free_port, is_free
from deploy.local.redis_binary import RedisBinary, find_redis_binary
from deploy.local.redis_plan import PairPlan, plan_pair
from deploy.local.redis_probe import info, is_following
from precompute.errors import ConfigError


@contextmanager
def embedded_redis(
    data_dir: Path | None,
    *,
    primary_port: int = 0,
    replica_port: int = 0,
    persist: bool,
    binary: RedisBinary | None = None,
) -> Iterator[PairPlan]:
    """The plan of a pair, which nobody else uses as long as the block lasts.

    Port 0 takes a free one. No directory means a temporary one, which goes with the block.

    Raises:
        ConfigError: no server program, a port that is taken, or a data directory that cannot be used.
    """
    binary = binary or find_redis_binary()
    ports = {"primary_port": _claim(primary_port), "replica_port": _claim(replica_port)}
    if data_dir is None:
        with tempfile.TemporaryDirectory(prefix="nearcast-", ignore_cleanup_errors=True) as temporary:
            yield plan_pair(binary, Path(temporary), **ports, persist=persist)
        return
    with DataDirectory(data_dir, binary) as directory:
        plan = plan_pair(binary, directory.path, **ports, persist=persist)
        yield replace(plan, primary=replace(plan.primary, pass_fds=(directory.lock_fd,)))


def redis_children(plan: PairPlan) -> list[Child]:
    """Both servers as children of a supervisor, each ready once it can be used."""
    for server in (plan.primary, plan.replica):
        server.directory.mkdir(parents=True, exist_ok=True)
    primary, replica = plan.primary, plan.replica
    return [
        Child(
            name="primary",
            argv=primary.argv,
            pass_fds=primary.pass_fds,
            ready=lambda: info(primary.port).get("loading") == "0",
        ),
        Child(
            name="replica",
            argv=replica.argv,
            batch=replica.batch,
            ready=lambda: is_following(primary.port, replica.port),
        ),
    ]


def _claim(port: int) -> int:
    if port and not is_free(port):
        raise ConfigError(f"port {port} on {LOOPBACK} is taken; choose another one for Redis")
    return port or free_port()
