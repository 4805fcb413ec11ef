"""Ends runs of models that take too long.

ONNX Runtime ends a run when it is told to, at the model's next node, and a loop without end has many. So a hung model
costs the thread that runs it a limited time; the event loop, which computes what is small, a short one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from edge.black_box import BlackBox

log = logging.getLogger(__name__)

#: What is computed by the event loop itself was expected to take a millisecond.
INLINE_LIMIT_S = 0.5
THREAD_LIMIT_S = 10.0
_LOOK_S = 0.05


class Runs:
    """The runs under way in one process, at most one in each thread.

    Attributes:
        ended: how many were ended.
    """

    def __init__(self, box: BlackBox | None = None) -> None:
        """`box` is told of everything that is run or loaded."""
        self.box = box
        self._under_way: dict[int, tuple[Callable[[], None], float]] = {}
        self._loop_thread = threading.get_ident()
        self._stopped = threading.Event()
        self.ended = 0

    def mark(self, label: bytes) -> None:
        """Something begins in this thread that cannot be ended, up to `end`."""
        if self.box is not None:
            self.box.enter(label)

    def begin(self, stop: Callable[[], None], label: bytes = b"") -> None:
        """A run begins in this thread; `stop` ends it, and is called from another one."""
        if label:
            self.mark(label)
        self._under_way[threading.get_ident()] = (stop, time.monotonic())

    def end(self) -> None:
        """It has ended."""
        self._under_way.pop(threading.get_ident(), None)
        if self.box is not None:
            self.box.leave()

    def start(self) -> None:
        """Watches until `stop`; runs in this thread are those of the event loop."""
        self._loop_thread = threading.get_ident()
        threading.Thread(target=self._watch, name="runs", daemon=True).start()

    def stop(self) -> None:
        """Ends the watch."""
        self._stopped.set()
        if self.box is not None and not self._under_way:
            box, self.box = self.box, None
            box.close()

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_S):
            self.look(time.monotonic())

    def look(self, now_s: float) -> None:
        """Ends what has taken too long."""
        for thread, (stop, began_s) in list(self._under_way.items()):
            limit_s = INLINE_LIMIT_S if thread == self._loop_thread else THREAD_LIMIT_S
            if now_s - began_s > limit_s:
                self.ended += 1
                log.error("a run of a model is ended after %.1f s", now_s - began_s)
                # Only once: what it stops may take a moment to end.
                self._under_way.pop(thread, None)
                stop()
