"""A real primary and a real replica on loopback."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from deploy.local.embedded_redis import embedded_redis
from deploy.local.processes import Processes
from deploy.local.redis_binary import RedisBinary
from deploy.local.redis_plan import PairPlan, ServerPlan
from deploy.local.redis_probe import info, is_following
from precompute.errors import ConfigError

_START_TIMEOUT_S = 30.0
#: A server that is reading its data back says so, and large data takes its time.
_LOAD_TIMEOUT_S = 600.0
#: The server writes its append-only file to disk on the way out.
_STOP_GRACE_S = 10.0
_NAP_S = 0.02


class RedisServer:
    """One server and its process; `process` is there for those who want to kill or freeze it."""

    def __init__(self, plan: ServerPlan, processes: Processes) -> None:
        self.url = plan.url
        self.port = plan.port
        self.log_path = plan.directory / "redis.log"
        self._plan = plan
        self._processes = processes
        self.process = self._start()

    def is_ready(self) -> bool:
        """Whether our process, and nobody else on its port, takes commands."""
        said = info(self.port)
        return said.get("process_id") == str(self.process.pid) and said.get("loading") == "0"

    def wait_for(self, condition: Callable[[], bool], complaint: str) -> None:
        """Waits for a condition of this server; loading data buys it more time.

        Raises:
            ConfigError: the server ended, or the time is over.
        """
        started = time.monotonic()
        while not condition():
            if self.process.poll() is not None:
                raise ConfigError(f"{self._plan.argv[0]} ended on port {self.port}: {self._last_words()}")
            loading = info(self.port).get("loading") == "1"
            if time.monotonic() - started > (_LOAD_TIMEOUT_S if loading else _START_TIMEOUT_S):
                raise ConfigError(f"Redis {self._plan.name} on port {self.port} {complaint}")
            time.sleep(_NAP_S)

    def restart(self) -> None:
        """Starts the server on its port again, with what it has on disk; stops it first if need be."""
        self.stop()
        self.process = self._start()
        self.wait_for(self.is_ready, "does not answer")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that does not end it within ten seconds."""
        self._processes.stop(self.process, grace_s=_STOP_GRACE_S)

    def _start(self) -> subprocess.Popen[bytes]:
        self._plan.directory.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("wb") as log:
            plan = self._plan
            return self._processes.start(plan.argv, output=log, pass_fds=plan.pass_fds, batch=plan.batch)

    def _last_words(self) -> str:
        lines = self.log_path.read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it left no message")


class RedisPair:
    """The embedded primary and replica; a context manager that stops both."""

    def __init__(self, plan: PairPlan, processes: Processes) -> None:
        """Starts both servers and waits until the replica follows."""
        self._resources = ExitStack()
        self.primary = RedisServer(plan.primary, processes)
        self.primary_url = self.primary.url
        self.replica = RedisServer(plan.replica, processes)
        self.replica_url = self.replica.url
        for server in (self.primary, self.replica):
            server.wait_for(server.is_ready, "does not answer")
        self.wait_until_linked()

    @classmethod
    def start(
        cls,
        data_dir: Path | None,
        *,
        primary_port: int = 0,
        replica_port: int = 0,
        persist: bool,
        binary: RedisBinary | None = None,
    ) -> RedisPair:
        """Starts a pair. Port 0 takes a free one, no directory means a temporary one.

        Raises:
            ConfigError: no server program, a port that is taken, or a data directory that cannot be used.
        """
        with ExitStack() as resources:
            chosen = embedded_redis(
                data_dir, primary_port=primary_port, replica_port=replica_port, persist=persist, binary=binary
            )
            pair = cls(resources.enter_context(chosen), resources.enter_context(Processes()))
            pair._resources = resources.pop_all()
            return pair

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_until_linked(self) -> None:
        """Waits until the replica follows the primary."""
        primary, replica = self.primary.port, self.replica.port
        self.replica.wait_for(lambda: is_following(primary, replica), "does not follow its primary")

    def restart_primary(self) -> None:
        """Starts the primary again, and waits for the replica. Without persistence both are empty then."""
        self.primary.restart()
        self.wait_until_linked()

    def restart_replica(self) -> None:
        """Starts the replica again, and waits until it has everything."""
        self.replica.restart()
        self.wait_until_linked()

    def stop(self) -> None:
        """Stops the replica, then the primary, and frees the directory."""
        with self._resources:
            self.replica.stop()
            self.primary.stop()
