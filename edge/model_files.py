"""Reads a version's file and makes a predictor of it."""

from __future__ import annotations

from edge.loads import Build
from edge.replica import Replica
from edge.sleeper import Sleeper
from precompute.layouts import Layouts
from precompute.manifest import Project
from precompute.predictor import Predictor
from precompute.registry import load_commands, load_servable
from precompute.store import checked


class ModelFiles:
    """The model files of one project, as one replica has them."""

    def __init__(self, project: Project, files: Replica, layouts: Layouts) -> None:
        """`files` is a connection behind which nothing urgent waits."""
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
            # Optimises the graph, which may take seconds.
            servable = load_servable(self._project, model, checked(record), checked(blob))
            return Predictor(self._project, servable, self._layouts)

        return build
