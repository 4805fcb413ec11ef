"""Runs the processes of a stack as one: started in order, restarted when they die, stopped in reverse."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Self, TextIO

from deploy.local.child import Child, KeptChild, StackFailed
from deploy.local.log_lines import OURSELVES, LogLines
from deploy.local.processes import Processes
from deploy.local.restart_policy import RestartSettings
from precompute.logs import LogFormat

_NAP_S = 0.05
_DEFAULT_RESTARTS = RestartSettings()


class Supervisor:
    """Keeps children running.

    `run` does it all in the main thread, signals included. As a context manager it supervises in a thread
    of its own, while the block does something else; what goes wrong there is in `failure`. Children that do not
    build on each other may start and end `together`. What the owner holds for their sake it lets go of `at_stop`,
    once nobody is started any more and before anybody is waited for.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        stream: TextIO | None = None,
        greeting: str = "everything is ready",
        restarts: RestartSettings = _DEFAULT_RESTARTS,
        together: bool = False,
        at_stop: Callable[[], None] = lambda: None,
        log_format: LogFormat = "text",
    ) -> None:
        self.failure: StackFailed | None = None
        self._greeting = greeting
        self._together = together
        self._at_stop = at_stop
        names = [OURSELVES, *(child.name for child in children)]
        self._log = LogLines(stream or sys.stderr, names, as_json=log_format == "json")
        self._processes = Processes()
        self._kept = [KeptChild(child, self._processes, self._log, restarts) for child in children]
        self._stop_requests = 0
        self._watcher = threading.Thread(target=self._watch_and_remember, name="supervisor")

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.request_stop()
        self._watcher.join()
        self.stop()

    def run(self) -> int:
        """Starts, watches and stops the stack. Exit status 0, or 1 if a child failed for good.

        SIGINT, SIGTERM and SIGHUP stop it; a second one does not wait for anybody. Main thread only.
        """
        with self._signals_stop_us():
            try:
                self.start()
                self.watch()
            except StackFailed as failed:
                self._report(failed)
            finally:
                self.stop()
        return 1 if self.failure else 0

    def start(self) -> None:
        """Starts each child once the one before is ready, or all at once; returns early when asked to stop.

        Raises:
            StackFailed: a child died too often, or was not ready in time.
        """
        for batch in [self._kept] if self._together else [[kept] for kept in self._kept]:
            for kept in batch:
                kept.start()
            for kept in batch:
                self._wait_for(kept)
            if self._stop_requests:
                return
        self._log.write(OURSELVES, self._greeting)

    def _wait_for(self, kept: KeptChild) -> None:
        deadline = time.monotonic() + kept.child.ready_within_s
        while not self._stop_requests and not kept.is_ready():
            self._look_after_children()
            if time.monotonic() > deadline:
                raise kept.failed(f"was not ready within {kept.child.ready_within_s:g} s")
            time.sleep(_NAP_S)

    def watch(self) -> None:
        """Restarts children that die, until asked to stop.

        Raises:
            StackFailed: a child died too often.
        """
        while not self._stop_requests:
            self._look_after_children()
            time.sleep(_NAP_S)

    def request_stop(self) -> None:
        """Makes `start` and `watch` return. From any thread or signal; asking twice hurries `stop`."""
        self._stop_requests += 1

    def stop(self) -> None:
        """Stops every child, last one first, and waits for its end; or all at once."""
        self._at_stop()
        if self._together:
            for kept in self._kept:
                kept.ask_to_end()
        for kept in reversed(self._kept):
            kept.stop(hurried=lambda: self._stop_requests > 1)
        self._processes.close()

    def pids(self) -> dict[str, int]:
        """The process ids of the children that have a process just now."""
        # Looked at once each: the supervising thread may bury a child between two looks.
        return {kept.child.name: process.pid for kept in self._kept if (process := kept.process)}

    def _look_after_children(self) -> None:
        for kept in self._kept:
            kept.look_after()

    def _watch_and_remember(self) -> None:
        try:
            self.watch()
        except StackFailed as failed:
            self._report(failed)

    def _report(self, failed: StackFailed) -> None:
        self.failure = failed
        self._log.write(OURSELVES, f"{failed}{'. Its last lines:' if failed.last_lines else ''}")
        for line in failed.last_lines:
            self._log.write(failed.name, line)

    @contextmanager
    def _signals_stop_us(self) -> Iterator[None]:
        def handle(number: int, _: FrameType | None) -> None:
            self.request_stop()

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
