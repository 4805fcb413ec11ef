"""A job that stores entries while something else is measured."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.cores import LOAD_CORE, pinned, step_back
from tests.bench.world import World

#: What it takes until a job that went on has its pace again.
_STRIDE_S = 0.3


class Rewriting:
    """A process that stores entries at a constant rate; it rests but for `going_on`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        process.send_signal(signal.SIGSTOP)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """It stores, at its pace, until the end of the block."""
        self._process.send_signal(signal.SIGCONT)
        time.sleep(_STRIDE_S)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGSTOP)


@contextmanager
def rewriting(world: World, per_s: int) -> Iterator[Rewriting]:
    """Stores entries as a precompute job does, beside the load.

    It and the primary make way for that: whoever asks is not to wait for them, only for the edge. Nobody may give a
    process its priority back but root, so the primary keeps its place from now on.
    """
    argv = [sys.executable, "-m", "tests.bench.rewrite", world.pair.primary_url, str(per_s)]
    process = subprocess.Popen(pinned(LOAD_CORE, argv), stdout=subprocess.PIPE, start_new_session=True)
    try:
        for number in (process.pid, world.pair.primary.process.pid):
            step_back(number)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        job = Rewriting(process)
        world.replicate()
        yield job
    finally:
        process.kill()
        process.communicate()
