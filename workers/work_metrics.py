"""What a worker has done, in Prometheus' form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from precompute.metrics import counter, counters, gauge, histograms
from workers.work_counts import OUTCOMES, REFRESHED_BUCKETS_S, RESULTS, TASK_BUCKETS_S, TASKS, WorkCounts


class WorkCollector(Collector):
    """Shows the numbers of one worker."""

    def __init__(self, counts: WorkCounts, models: Sequence[str]) -> None:
        self._counts = counts
        self._models = models

    def collect(self) -> Iterator[Metric]:
        """All metric families."""
        counts = self._counts
        yield self._tasks()
        yield self._rows()
        yield _histogram("worker_task_duration_seconds", "Time a task took.", "task", TASKS, counts, "task_s")
        yield _histogram(
            "update_to_refreshed_seconds",
            "From a change of a feature to a hot prediction made anew.",
            "model",
            self._models,
            counts,
            "refreshed_s",
        )
        yield counter("worker_retries", "Times Redis was asked again.", counts.retries)
        yield gauge("worker_processes", "Processes that compute.", counts.processes)
        yield gauge(
            "worker_last_progress_timestamp_seconds",
            "When a task last came to an end; 0 if none has.",
            counts.progress_ms / 1000,
        )

    def _tasks(self) -> Metric:
        family = counters("worker_tasks", "Tasks taken, by outcome.", "task", "outcome")
        for task in TASKS:
            for outcome in OUTCOMES:
                family.add_metric((task, outcome), self._counts.total("tasks", task, outcome))
        return family

    def _rows(self) -> Metric:
        family = counters("worker_rows", "Keys taken, by result.", "model", "result")
        for model in self._models:
            for result in RESULTS:
                family.add_metric((model, result), self._counts.total("rows", model, result))
        return family


def _histogram(name: str, text: str, label: str, values: Sequence[str], counts: WorkCounts, column: str) -> Metric:
    bounds = TASK_BUCKETS_S if column == "task_s" else REFRESHED_BUCKETS_S
    family = histograms(name, text, label)
    for value in values:
        running = accumulate(counts.counts(column, value))
        buckets = [(bound, float(count)) for bound, count in zip((*map(str, bounds), "+Inf"), running, strict=True)]
        family.add_metric((value,), buckets, counts.sum_s(column, value))
    return family
