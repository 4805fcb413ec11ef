"""The processes of the system, as a user would run them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from precompute.settings import Settings
from tests.waiting import wait_until

_ROOT = Path(__file__).parents[1]
_CODE = """
import logging, sys
from importlib import import_module
from precompute.settings import from_environment
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
module, function, *rest = sys.argv[1:]
getattr(import_module(module), function)(from_environment(), *map(int, rest))
"""
#: Characters of a process's output that a failed test shows.
_LAST_WORDS = 4000
_ENTRIES = {
    "worker": ("workers.app", "run_worker", "ready for tasks"),
    "scheduler": ("workers.scheduler", "run_scheduler", "scheduling for"),
    "edge": ("edge.server", "run", "listening on"),
    "refresher": ("workers.refresher", "run_refresher", "following the update logs"),
}


class Role:
    """A running process and what it has said so far."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes], ready: str) -> None:
        self.process = process
        self._log = log
        self._ready = ready

    @property
    def said(self) -> str:
        """Its output, all of it."""
        return Path(self._log.name).read_text()

    def wait_until_ready(self) -> None:
        """Waits for the line that says so."""
        wait_until(lambda: self._ready in self.said or self.process.poll() is not None, 30.0, "does not get ready")
        assert self.process.poll() is None, self.said

    def stop(self) -> int:
        """Asks it to end, and returns its exit status."""
        self.process.terminate()
        return self.process.wait(30.0)


@contextmanager
def role(name: str, settings: Settings, *arguments: int) -> Iterator[Role]:
    """Runs `worker`, `scheduler`, `refresher` or `edge` until the end of the block, from the moment it is ready."""
    module, function, ready = _ENTRIES[name]
    given = settings.model_dump(exclude_unset=True)
    environment = {f"NEARCAST_{field.upper()}": str(value) for field, value in given.items()}
    with (
        tempfile.NamedTemporaryFile(prefix=f"{name}-") as log,
        subprocess.Popen(
            [sys.executable, "-c", _CODE, module, function, *map(str, arguments)],
            cwd=_ROOT,
            env={**os.environ, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        running = Role(process, log, ready)
        try:
            running.wait_until_ready()
            yield running
        except BaseException:
            print(f"--- last words of {name} {process.pid}:", running.said[-_LAST_WORDS:], sep="\n", file=sys.stderr)
            raise
        finally:
            process.kill()
