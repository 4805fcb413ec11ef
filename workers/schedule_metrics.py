"""What a scheduler has done, in Prometheus' form."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from precompute.metrics import gauge
from workers.schedule_turn import Turn


class LeadCollector(Collector):
    """Shows whether this scheduler leads."""

    def __init__(self, fence: Callable[[], int | None]) -> None:
        """`fence`: our term while we lead, else None."""
        self._fence = fence

    def collect(self) -> Iterator[Metric]:
        """All metric families."""
        fence = self._fence()
        yield gauge("scheduler_leading", "1 while this one leads.", int(fence is not None))
        yield gauge("scheduler_term", "Its term while it leads.", fence or 0)


class ScheduleMetrics:
    """Counts what becomes of declared jobs; from any thread."""

    def __init__(self, registry: CollectorRegistry, clock_s: Callable[[], float] = time.time) -> None:
        self._clock_s = clock_s
        self._fires = Counter("nearcast_scheduler_fires", "Runs begun.", ("schedule",), registry=registry)
        self._misfires = Counter(
            "nearcast_scheduler_misfires", "Fires due while nobody led.", ("schedule",), registry=registry
        )
        self._runs = Counter(
            "nearcast_scheduler_runs", "Runs ended, by state.", ("schedule", "state"), registry=registry
        )
        self._put_off = Counter("nearcast_scheduler_looks_put_off", "Looks that Redis prevented.", registry=registry)
        self._looked = Gauge(
            "nearcast_scheduler_last_look_timestamp_seconds",
            "When it last looked after what it leads; 0 if it never has.",
            registry=registry,
        )

    def turn(self, job: str, turn: Turn) -> None:
        """A look at a job has been acted on."""
        for run in turn.start:
            if run.attempt <= 1:
                self._fires.labels(job).inc()
        for run in turn.ended:
            self._runs.labels(job, run.state.replace(" ", "_")).inc()
            if run.state == "missed":
                self._misfires.labels(job).inc(run.fires)

    def looked(self) -> None:
        """The leader's look came to its end."""
        self._looked.set(self._clock_s())

    def put_off(self) -> None:
        """A look was not possible."""
        self._put_off.inc()
