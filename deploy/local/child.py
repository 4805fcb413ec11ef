"""One process of a stack, and what becomes of it."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.local.log_lines import OURSELVES, LogLines, LogPump
from deploy.local.processes import Processes
from deploy.local.restart_policy import GiveUp, RestartPolicy, RestartSettings
from precompute.errors import NearcastError

#: How long the output of a process that has ended may keep us waiting.
_LAST_OUTPUT_S = 1.0


class StackFailed(NearcastError):
    """A child that the stack cannot do without does not run; `last_lines` are its own words."""

    def __init__(self, name: str, reason: str, last_lines: Sequence[str] = ()) -> None:
        super().__init__(f"{name} {reason}")
        self.name = name
        self.last_lines = list(last_lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A process of the stack.

    `env` replaces our environment. The children after this one wait until `ready()`. An exit with one of
    `final_statuses` before that means that trying again cannot help (a wrong configuration).
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    pass_fds: tuple[int, ...] = ()
    #: 1 to 19 make way for the others.
    nice: int = 0
    #: Interrupts none of the others when it wakes.
    batch: bool = False
    ready: Callable[[], bool] | None = None
    ready_within_s: float = 60.0
    stop_grace_s: float = 10.0
    final_statuses: tuple[int, ...] = ()

    def then(self, act: Callable[[], None]) -> Child:
        """The same child, but the others wait until `act` has been done, too."""
        ready = self.ready

        def ready_and_done() -> bool:
            if ready is None or ready():
                act()
                return True
            return False

        return replace(self, ready=ready_and_done)


class KeptChild:
    """A child, its current process if any, and when to start the next one."""

    def __init__(self, child: Child, processes: Processes, log: LogLines, restarts: RestartSettings) -> None:
        self.child = child
        self.process: subprocess.Popen[bytes] | None = None
        self._processes = processes
        self._log = log
        self._policy = RestartPolicy(restarts)
        self._pump: LogPump | None = None
        self._started_s = 0.0
        self._restart_at_s: float | None = None
        self._was_ready = False

    def start(self) -> None:
        """Starts a process.

        Raises:
            StackFailed: the program does not exist or may not be run.
        """
        child = self.child
        self._restart_at_s = None
        self._started_s = time.monotonic()
        try:
            self.process = self._processes.start(
                child.argv,
                output=subprocess.PIPE,
                env=child.env,
                cwd=child.cwd,
                pass_fds=child.pass_fds,
                nice=child.nice,
                batch=child.batch,
            )
        except OSError as error:
            raise StackFailed(child.name, f"cannot be started ({error})") from error
        self._pump = LogPump(child.name, self.process, self._log)

    def is_ready(self) -> bool:
        """Whether the process runs and has been ready."""
        running = self.process is not None and self.process.poll() is None
        if running and not self._was_ready:
            self._was_ready = self.child.ready is None or self.child.ready()
        return running and self._was_ready

    def look_after(self) -> None:
        """Notices a death, or starts the child again once its delay is over.

        Raises:
            StackFailed: it died for good.
        """
        if self.process is not None:
            status = self._processes.poll(self.process)
            if status is not None:
                self.process = None
                self._bury(status)
        elif self._restart_at_s is not None and time.monotonic() >= self._restart_at_s:
            self.start()

    def ask_to_end(self) -> None:
        """Asks the process to end, without waiting for it."""
        self._restart_at_s = None
        if self.process is not None:
            self._processes.ask_to_end(self.process)

    def stop(self, *, hurried: Callable[[], bool]) -> None:
        """Stops the process and waits for its last words."""
        self._restart_at_s = None
        if self.process is not None:
            self._processes.stop(self.process, grace_s=self.child.stop_grace_s, hurried=hurried)
            self.process = None
        if self._pump:
            self._pump.finish(_LAST_OUTPUT_S)

    def failed(self, reason: str) -> StackFailed:
        """What to raise when the child is beyond help."""
        if self._pump:
            self._pump.finish(0 if self.process else _LAST_OUTPUT_S)
        return StackFailed(self.child.name, reason, list(self._pump.tail) if self._pump else ())

    def _bury(self, status: int) -> None:
        how = f"ended with status {status}" if status >= 0 else f"was ended ({signal.strsignal(-status)})"
        if status in self.child.final_statuses and not self._was_ready:
            raise self.failed(how)
        now_s = time.monotonic()
        verdict = self._policy.died(started_s=self._started_s, now_s=now_s)
        if isinstance(verdict, GiveUp):
            raise self.failed(f"{how} and {verdict.reason}")
        self._log.write(OURSELVES, f"{self.child.name} {how}; starting it again in {verdict.delay_s:g} s")
        self._restart_at_s = now_s + verdict.delay_s
