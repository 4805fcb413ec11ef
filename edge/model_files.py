"""Reads a version's file and makes a predictor of it."""

from __future__ import annotations

from edge.loads import Build
from edge.replica import Replica
from edge.runs import Runs
from edge.sleeper import Sleeper
from precompute.layouts import Layouts
from precompute.manifest import Project
from precompute.predictor import Predictor
from precompute.registry import load_commands, load_servable
from precompute.runtime import Session
from precompute.store import checked


class ModelFiles:
    """The model files of one project, as one replica has them."""

    def __init__(self, project: Project, files: Replica, layouts: Layouts, runs: Runs) -> None:
        """`files` is a connection behind which nothing urgent waits."""
        self._runs = runs
        self._project = project
        self._files = files
        self._layouts = layouts

    async def fetch(self, sleeper: Sleeper) -> Build:
        """What builds a version's predictor, in any thread.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        model, version = sleeper.name
        record, blob = await self._files.run(load_commands(model, version, sleeper.record.sha256))

        def build() -> Predictor:
            self._runs.mark(sleeper.label)
            try:
                # Optimises the graph, which may take seconds, and runs it, which may never end.
                servable = load_servable(self._project, model, checked(record), checked(blob), self._begin)
            finally:
                self._runs.end()
            return Predictor(self._project, servable, self._layouts)

        return build

    def _begin(self, session: Session) -> None:
        self._runs.begin(session.stop_runs)
