"""Starts processes that end when we do, whatever ends us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

from deploy.local import guardian

_NAP_S = 0.02


def never() -> bool:
    """Nobody is in a hurry."""
    return False


class Processes:
    """The processes of one owner, each in a session of its own together with whatever it starts.

    A session of its own keeps Ctrl-C away from the children: the terminal sends it to the owner alone,
    which then stops them in the order it likes. Leaving the `with` block kills what is still there.
    """

    def __init__(self) -> None:
        self._alive: dict[int, subprocess.Popen[bytes]] = {}
        self._asked: set[int] = set()
        self._guardian: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(
        self,
        argv: Sequence[str],
        *,
        output: int | IO[bytes],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
        nice: int = 0,
        batch: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Starts `argv` with stdout and stderr in `output`; `env` replaces our environment.

        Args:
            nice: 1 to 19 let the process, and all it starts, make way for others.
            batch: it has its share, but interrupts nobody when it wakes.

        Raises:
            OSError: the program cannot be started.
        """
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        self._alive[process.pid] = process
        self._tell(f"+{process.pid}")
        if nice:
            _make_way(process, nice)
        if batch:
            _interrupt_nobody(process)
        return process

    def poll(self, process: subprocess.Popen[bytes]) -> int | None:
        """The exit status once the process has ended; what it leaves behind is killed then."""
        status = process.poll()
        if status is not None:
            self._clear(process.pid)
        return status

    def ask_to_end(self, process: subprocess.Popen[bytes]) -> None:
        """Asks the process to end, once: for some, a second time means at once.

        Only the process itself is asked: a Celery worker that is told to stop lets its pool finish, and the
        pool would drop its work if it were told too.
        """
        if process.pid in self._alive and process.pid not in self._asked:
            self._asked.add(process.pid)
            process.terminate()
            process.send_signal(signal.SIGCONT)

    def stop(self, process: subprocess.Popen[bytes], *, grace_s: float, hurried: Callable[[], bool] = never) -> int:
        """Asks the process to end and kills it, with all it started, after `grace_s`, or as soon as `hurried()`."""
        deadline = time.monotonic() + grace_s
        self.ask_to_end(process)
        while self.poll(process) is None and time.monotonic() < deadline and not hurried():
            time.sleep(_NAP_S)
        return self.kill(process)

    def kill(self, process: subprocess.Popen[bytes]) -> int:
        """Kills the process and all it started."""
        self._clear(process.pid)
        return process.wait()

    def close(self) -> None:
        """Kills what is left; the guardian does the same if we never get here."""
        for process in list(self._alive.values()):
            self.kill(process)
        self._close_guardian()

    def _clear(self, group: int) -> None:
        self._asked.discard(group)
        if self._alive.pop(group, None):
            # Right after the leader is gone its number cannot belong to somebody else yet, and while a
            # member lives it cannot be given out at all.
            guardian.signal_group(group, signal.SIGKILL)
            self._tell(f"-{group}")

    def _close_guardian(self) -> None:
        if self._guardian:
            # Its input ends here, so it has nothing left to do and goes.
            self._guardian.communicate()
            self._guardian = None

    def _tell(self, line: str) -> None:
        try:
            self._write(line)
        except BrokenPipeError:
            # Somebody killed the guardian. A new one learns whom to look after.
            self._close_guardian()
            for group in self._alive:
                self._write(f"+{group}")

    def _write(self, line: str) -> None:
        self._guardian = self._guardian or _start_guardian()
        assert self._guardian.stdin is not None  # noqa: S101 - opened as a pipe
        self._guardian.stdin.write(f"{line}\n".encode())


def _make_way(process: subprocess.Popen[bytes], nice: int) -> None:
    try:
        os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + nice)
    except ProcessLookupError:
        return  # Over already; whoever looks after it will notice.


def _interrupt_nobody(process: subprocess.Popen[bytes]) -> None:
    # Only Linux knows this, and a sandbox may forbid it: then it runs like any other.
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(process.pid, os.SCHED_BATCH, os.sched_param(0))


def _start_guardian() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", guardian.__file__],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
