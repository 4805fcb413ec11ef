"""`nearcast edge --processes`: a real node of several processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from precompute.settings import Settings
from tests.processes import is_gone
from tests.waiting import wait_until

_START_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Node:
    """A node, as its user sees it."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        """Its output."""
        return self.log.read_text()

    @property
    def url(self) -> str:
        """Where it says that it listens; empty as long as it does not."""
        found = re.search(r"listening on (\S+)", self.said)
        return found[1] if found else ""

    def children(self) -> list[psutil.Process]:
        """The processes that answer."""
        found = psutil.Process(self.process.pid).children()
        return [child for child in found if not is_gone(child.pid) and "edge-process" in child.cmdline()]

    def metrics(self) -> dict[str, float]:
        """Sums of all samples by name, of whichever process a new connection meets."""
        totals: dict[str, float] = {}
        for family in text_string_to_metric_families(httpx.get(f"{self.url}/metrics").text):
            for sample in family.samples:
                totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
        return totals


@contextmanager
def edge_node(settings: Settings, log: Path, *, port: int = 0, processes: int = 2) -> Iterator[Node]:
    """Runs a node until the end of the block, from the moment it says where it listens, or has ended instead."""
    given = settings.model_copy(update={"port": port, "processes": processes}).model_dump(exclude_unset=True)
    environment = {f"NEARCAST_{field.upper()}": str(value) for field, value in given.items()}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", "edge"],
            cwd=Path(__file__).parents[1],
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        node = Node(process, log)
        try:
            wait_until(lambda: node.url or process.poll() is not None, _START_WITHIN_S, "the node does not get ready")
            yield node
        finally:
            process.terminate()
            process.wait(30.0)
    assert "Traceback" not in node.said
