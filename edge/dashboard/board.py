"""The dashboard's doors, the same at every edge and in a process that has nothing else."""

from __future__ import annotations

from collections.abc import Callable

from starlette.routing import Route

from edge.api.wire import REST
from edge.dashboard.data import DATA, LIVE, Data, Events
from edge.dashboard.gather import Gatherer
from edge.dashboard.page import Page
from edge.dashboard.run_job import RUN, RunJob
from edge.link import Link
from precompute.manifest import Project
from precompute.settings import Settings


class Board:
    """Built once for a process."""

    def __init__(
        self, project: Project, reads: Link, primary: Link, settings: Settings, now_ms: Callable[[], int]
    ) -> None:
        """`reads` may be kept busy: nobody's prediction should wait behind it."""
        gatherer = Gatherer(reads, project, now_ms)
        self._data = Data(gatherer)
        self._events = Events(gatherer, now_ms)
        self._run = RunJob(project, primary, settings, now_ms)

    def routes(self) -> list[Route]:
        """Where the page, its numbers and its button are found."""
        return [
            Route(DATA, self._data, methods=["GET", "HEAD"]),
            Route(LIVE, self._events, methods=["GET"]),
            Route(RUN + REST, self._run, methods=["POST"]),
            *Page().routes(),
        ]

    def close(self) -> None:
        """Ends all streams, which have no end of their own."""
        self._events.close()
