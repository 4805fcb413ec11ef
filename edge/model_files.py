"""Reads a version's file and makes a predictor of it."""

from __future__ import annotations

from edge.loads import Build
from edge.replica import Replica
from edge.runs import Runs
from edge.sleeper import Sleeper
from precompute.keys import blob_key, versions_key
from precompute.layouts import Layouts
from precompute.manifest import Project
from precompute.predictor import Predictor
from precompute.registry import load_servable
from precompute.runtime import Session
from precompute.store import checked

#: What one read brings of a file; the file has the SHA-256 that its record says, or is refused.
_PIECE_BYTES = 128 << 10


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
        (record,) = await self._files.run([("HGET", versions_key(model), version)])
        pieces = await self._pieces(blob_key(sleeper.record.sha256))

        def build() -> Predictor:
            self._runs.mark(sleeper.label)
            try:
                # Optimises the graph, which may take seconds, and runs it, which may never end.
                servable = load_servable(self._project, model, checked(record), b"".join(pieces) or None, self._begin)
            finally:
                self._runs.end()
            return Predictor(self._project, servable, self._layouts)

        return build

    async def _pieces(self, key: str) -> list[bytes]:
        """A file, bit by bit: a megabyte at once would hold up everybody for a millisecond, here and at the replica."""
        pieces: list[bytes] = []
        while not pieces or len(pieces[-1]) == _PIECE_BYTES:
            at = len(pieces) * _PIECE_BYTES
            (piece,) = await self._files.run([("GETRANGE", key, at, at + _PIECE_BYTES - 1)])
            pieces.append(checked(piece))
        return pieces

    def _begin(self, session: Session) -> None:
        self._runs.begin(session.stop_runs)
