"""`nearcast edge --processes N`: this process opens the sockets and looks after the others, which answer.

They are started anew, not forked: uvloop, ONNX Runtime and the Redis connections do not survive a fork. What they need
beside their settings is passed by file descriptor and on the command line.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from deploy.local.child import Child
from deploy.local.restart_policy import RestartSettings
from deploy.local.supervisor import Supervisor
from edge.listening import FINISH_S, listening_together, url
from edge.siblings import says_ready
from precompute.settings import Settings

#: While one process cannot start again (the replica is away), the others answer, and it is tried again for ever.
RESTARTS = RestartSettings(max_delay_s=5.0, give_up_within_s=0.0)
#: As long as no process of a slot has ever been ready, an error that is reported on purpose is told to whoever started
#: the node, as by a single process.
_REPORTED = (1, 2)
#: Beside draining and finishing: to hand over counts and to close connections to Redis.
_GRACE_S = 5.0
#: Memory, where the system shows it as a directory.
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a private directory is made in it


def run_edge_node(settings: Settings) -> int:
    """Serves until SIGINT or SIGTERM; returns the exit status.

    Raises:
        ConfigError: the port is taken.
    """
    with (
        listening_together(settings.host, settings.port, settings.processes) as listeners,
        tempfile.TemporaryDirectory(prefix="nearcast-edge-", dir=_place(), ignore_cleanup_errors=True) as directory,
    ):
        descriptors = [listener.fileno() for listener in listeners]
        children = edge_children(settings, Path(directory), descriptors, os.environ)
        greeting = f"listening on {url(listeners[0])} with {settings.processes} processes"

        def let_go() -> None:
            # The processes have them too. The last one that closes them has answered everybody in their queues.
            for listener in listeners:
                listener.close()

        return Supervisor(
            children,
            greeting=greeting,
            restarts=RESTARTS,
            together=True,
            at_stop=let_go,
            log_format=settings.log_format,
        ).run()


def edge_children(
    settings: Settings, directory: Path, listeners: Sequence[int], environ: Mapping[str, str]
) -> list[Child]:
    """The processes, one for each socket. What they keep in memory is together what one would keep."""
    said = {
        "NEARCAST_PROJECT": str(settings.project.resolve()),
        "NEARCAST_PRIMARY_URL": settings.primary_url,
        "NEARCAST_REPLICA_URL": settings.read_url,
        "NEARCAST_HOST": settings.host,
        "NEARCAST_PORT": str(settings.port),
        "NEARCAST_PROCESSES": str(len(listeners)),
        "NEARCAST_MEMORY_MAX_BYTES": str(max(1, settings.memory_max_bytes // len(listeners))),
        "NEARCAST_MODEL_MEMORY_BYTES": str(max(1, settings.model_memory_bytes // len(listeners))),
        "PYTHONUNBUFFERED": "1",
    }
    options = ["--directory", str(directory), "--parent", str(os.getpid())]
    options += [text for listener in listeners for text in ("--listener", str(listener))]
    return [
        Child(
            name=f"edge-{number + 1}",
            argv=(sys.executable, "-m", "deploy.cli", "edge-process", "--number", str(number), *options),
            env={**environ, **said},
            pass_fds=tuple(listeners),
            ready=partial(says_ready, directory, number),
            # It takes as long as the logs are long, and is told by `/readyz` meanwhile.
            ready_within_s=float("inf"),
            stop_grace_s=settings.drain_s + FINISH_S + _GRACE_S,
            final_statuses=_REPORTED,
        )
        for number in range(len(listeners))
    ]


def _place() -> Path | None:
    return _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None
