"""`nearcast audit` beside the replay, as a process of its own: what it has found so far."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.local.processes import Processes
from precompute.errors import NearcastError

#: Twenty answers a second: a percent of the load, next to what passengers ask.
_ROUND = ("--samples", "40", "--every", "2")
_NICE = 10
#: It needs a second or two to start, and then says something every two seconds.
_FIRST_WITHIN_S = 30.0
_NAP_S = 0.05


class Audit:
    """A running audit."""

    def __init__(self, output: Path) -> None:
        self._output = output

    def latest(self) -> Mapping[str, Any] | None:
        """The figures of all rounds so far; None before the end of the first."""
        whole, _, _ = self._output.read_text(errors="replace").rpartition("\n")
        lines = [line for line in whole.splitlines() if line.startswith("{")]
        if not lines:
            return None
        found: Mapping[str, Any] = json.loads(lines[-1])
        return found

    def final(self) -> Mapping[str, Any]:
        """The latest figures, waiting for the first if need be.

        Raises:
            NearcastError: there are none; the text is what the audit said instead.
        """
        deadline_s = time.monotonic() + _FIRST_WITHIN_S
        while (found := self.latest()) is None:
            if time.monotonic() > deadline_s:
                raise NearcastError(f"the audit says nothing: {self._output.read_text(errors='replace')[-500:]}")
            time.sleep(_NAP_S)
        return found


@contextmanager
def auditing(model: str, url: str, primary_url: str, project: Path, output: Path) -> Iterator[Audit]:
    """Audits one edge while the block runs."""
    where = ("--project", str(project), "--primary", primary_url, "--url", url)
    argv = (sys.executable, "-m", "deploy.cli", "audit", model, *where, "--continuously", *_ROUND, "--json")
    with Processes() as processes, output.open("wb") as log:
        processes.start(argv, output=log, nice=_NICE)
        yield Audit(output)
