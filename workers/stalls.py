"""Noticing that a job stands still: its tasks were lost, or the worker that held them was killed."""

from __future__ import annotations

from precompute.job_record import Progress

#: A worker shows activity at least once a second while it computes.
STALL_S = 5.0


class StallWatch:
    """Judges one job by whether anything about it changes; by its own clock, so clocks need not agree."""

    def __init__(self, stall_s: float = STALL_S) -> None:
        self._stall_s = stall_s
        self._seen: tuple[int, int, int] | None = None
        self._since_s = 0.0

    def stalled(self, progress: Progress, waiting: int, now_s: float) -> bool:
        """Whether undone chunks should be queued again.

        Args:
            waiting: tasks that no worker has taken yet; while there are any, more of them would not help.
            now_s: monotonic.
        """
        seen = progress.chunks, progress.chunks_done, progress.active_ms
        if seen != self._seen or waiting or progress.finished_ms:
            self._seen, self._since_s = seen, now_s
            return False
        if now_s - self._since_s < self._stall_s or progress.chunks_done == progress.chunks:
            return False
        self._since_s = now_s
        return True
