"""What a worker has done, added up over the processes that compute.

Each process writes to a row of its own in memory that all of them share, so nothing is locked: a process that is killed
leaves neither a lock nor half a number behind, and the one that takes its place goes on in its row.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

#: Upper bounds of durations, in seconds: from a batch of a small model to a task that times out.
TASK_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
#: From an update to its refreshed predictions, in seconds: a refresher waits for 50 ms to see whether more comes.
REFRESHED_BUCKETS_S = (0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

TASKS = ("precompute", "refresh")
#: Done; done before by somebody else; left for later, because Redis stayed away.
OUTCOMES = ("done", "repeated", "undone")
RESULTS = ("computed", "failed")

#: What a number is about: what is counted, and of what.
Name = tuple[str, ...]

_PROGRESS_MS: Name = ("progress_ms",)
_RETRIES: Name = ("retries",)
#: Marks the sum of a histogram, in µs.
_SUM = "sum"
_INT64 = 8


class WorkCounts:
    """The numbers of one worker; to be made before its processes are."""

    def __init__(self, models: Iterable[str], processes: int = 1) -> None:
        self.processes = processes
        self._columns = {name: at for at, name in enumerate(_names(models))}
        width = len(self._columns)
        # Anonymous, and kept by children that are forked.
        numbers = memoryview(mmap.mmap(-1, _INT64 * width * processes)).cast("q")
        self._rows = [numbers[at * width : (at + 1) * width] for at in range(processes)]
        self._own = self._rows[0]

    def take_row(self, number: int) -> None:
        """This process is the one of that number among those that compute."""
        self._own = self._rows[number % self.processes]

    def task(self, task: str, outcome: str, took_s: float, now_ms: int) -> None:
        """A task has come to an end."""
        self._add(("tasks", task, outcome), 1)
        self._observe(("task_s", task), TASK_BUCKETS_S, took_s)
        if outcome != "undone":
            self._own[self._columns[_PROGRESS_MS]] = now_ms

    def rows(self, model: str, computed: int, failed: int) -> None:
        """Keys have a prediction now, or cannot have one."""
        self._add(("rows", model, "computed"), computed)
        self._add(("rows", model, "failed"), failed)

    def retried(self, times: int) -> None:
        """Redis was asked again after a failure."""
        self._add(_RETRIES, times)

    def refreshed(self, model: str, after_s: float, times: int = 1) -> None:
        """So many predictions were made anew so long after the change behind them."""
        self._observe(("refreshed_s", model), REFRESHED_BUCKETS_S, after_s, times)

    def total(self, *name: str) -> int:
        """Over all processes; what cannot be counted here is 0."""
        at = self._columns.get(name)
        return 0 if at is None else sum(row[at] for row in self._rows)

    def counts(self, *name: str) -> list[int]:
        """A histogram's counts by bucket; the last one has no upper bound."""
        return [self.total(*name, str(at)) for at in range(len(_bounds(name)) + 1)]

    def sum_s(self, *name: str) -> float:
        """A histogram's sum in seconds."""
        return self.total(*name, _SUM) / 1e6

    @property
    def computed(self) -> int:
        """Keys that have got a prediction."""
        names = [name for name in self._columns if name[0] == "rows" and name[-1] == "computed"]
        return sum(self.total(*name) for name in names)

    @property
    def retries(self) -> int:
        """How often Redis was asked again."""
        return self.total(*_RETRIES)

    @property
    def progress_ms(self) -> int:
        """When a task last came to an end, in ms since 1970; 0 if none has."""
        return max(row[self._columns[_PROGRESS_MS]] for row in self._rows)

    def _observe(self, name: Name, bounds: Sequence[float], seconds: float, times: int = 1) -> None:
        self._add((*name, str(bisect_left(bounds, seconds))), times)
        self._add((*name, _SUM), round(seconds * 1e6) * times)

    def _add(self, name: Name, count: int) -> None:
        at = self._columns.get(name)
        if at is not None:
            self._own[at] += count


def _names(models: Iterable[str]) -> Iterator[Name]:
    yield _PROGRESS_MS
    yield _RETRIES
    for task in TASKS:
        for outcome in OUTCOMES:
            yield "tasks", task, outcome
        yield from _histogram("task_s", task)
    for model in models:
        for result in RESULTS:
            yield "rows", model, result
        yield from _histogram("refreshed_s", model)


def _histogram(*name: str) -> Iterator[Name]:
    for at in range(len(_bounds(name)) + 1):
        yield *name, str(at)
    yield *name, _SUM


def _bounds(name: Name) -> Sequence[float]:
    return TASK_BUCKETS_S if name[0] == "task_s" else REFRESHED_BUCKETS_S
