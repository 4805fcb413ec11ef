"""What has been computed on demand, for one model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Computed:
    """Rows, runs of the model, and the processors' time."""

    rows: int = 0
    batches: int = 0
    cpu_ns: int = 0

    def add(self, rows: int, took_s: float) -> None:
        """One batch."""
        self.rows += rows
        self.batches += 1
        self.cpu_ns += int(took_s * 1e9)
