"""Where things run while they are measured: the server on one core, the load on the other."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.local.ports import LOOPBACK

SERVER_CORE = 0
LOAD_CORE = 1
_START_S = 20.0
_NICE = 15


class Missing(Exception):
    """Something to compare with is not installed; the text says what."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that takes requests, and the session that its processes share."""

    port: int
    session: int

    def cpu_s(self) -> float:
        """Seconds of processor time that its processes have used so far."""
        used_ns = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                if int(path.read_text().rpartition(")")[2].split()[3]) == self.session:
                    # By the scheduler's clock; the one in `stat` samples, and misses what runs in between.
                    used_ns += sum(int(task.read_text().split()[0]) for task in path.parent.glob("task/*/schedstat"))
            except OSError:
                continue  # It has just ended.
        return used_ns / 1e9


def pinned(core: int, argv: Sequence[str]) -> list[str]:
    """A command line that runs on one core only."""
    return ["taskset", "-c", str(core), *argv]


def step_back(process: int) -> None:
    """Leaves a core to others whenever they want it; what is left it may use.

    Linux divides a core between sessions first, and niceness counts within one: so both are told.
    """
    os.setpriority(os.PRIO_PROCESS, process, _NICE)
    session = Path(f"/proc/{process}/autogroup")
    with suppress(OSError):  # Not every system does this, nor lets us.
        session.write_text(str(_NICE))


@contextmanager
def undisturbed() -> Iterator[None]:
    """This process comes first on its core meanwhile, where the system lets it, which takes root's rights.

    A load generator that waits for others on its core blames the server for that. Not for a loop without rests: the
    system takes the core from it for a while each second.
    """
    before = os.sched_getscheduler(0)
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, before, os.sched_param(0))


@contextmanager
def server(argv: Sequence[str], port: int, log: Path, **environment: str) -> Iterator[Running]:
    """Runs a server on the server's core until the end of the block, from the moment somebody listens on its port.

    Raises:
        Missing: it ended instead; with its last words.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            pinned(SERVER_CORE, argv),
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    try:
        _wait(lambda: _listens(port), process, log)
        yield Running(port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            last = log.read_text(errors="replace").strip().splitlines()
            raise Missing(f"does not start on {LOOPBACK}: {last[-1] if last else 'no message'}")
        time.sleep(0.05)
