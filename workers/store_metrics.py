"""What the primary says of itself and of the latest audit, asked for when somebody looks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from precompute import audit_note
from precompute.errors import StoreUnavailable
from precompute.metrics import gauge
from precompute.store import Store

_MEMORY = re.compile(rb"^(used_memory|maxmemory):(\d+)", re.MULTILINE)


class StoreCollector(Collector):
    """Shows the primary; nothing at all while it is away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterator[Metric]:
        """Names need not be asked for on the network."""
        yield from self._memory(b"")

    def collect(self) -> Iterator[Metric]:
        """All metric families."""
        try:
            memory = self._store.call("INFO", "memory")
            audit = audit_note.read(self._store)
        except StoreUnavailable:
            return
        yield from self._memory(memory)
        if audit is not None:
            yield gauge("audit_checked_answers", "Answers that the latest audit looked at.", audit.checked)
            yield gauge("audit_falsely_fresh_answers", "Those that must never be.", audit.falsely_fresh)
            yield gauge("audit_timestamp_seconds", "When that was.", audit.at_ms / 1000)

    @staticmethod
    def _memory(info: bytes) -> Iterator[Metric]:
        found = dict(_MEMORY.findall(info))
        yield gauge("store_memory_bytes", "Memory that the primary uses.", int(found.get(b"used_memory", 0)))
        yield gauge("store_memory_max_bytes", "Its limit; 0 is none.", int(found.get(b"maxmemory", 0)))
