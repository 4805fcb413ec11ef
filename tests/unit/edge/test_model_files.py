"""Model files on their way from Redis to a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import msgspec
import pytest

from edge import runs as runs_module
from edge.model_files import ModelFiles
from edge.runs import Runs
from edge.sleeper import Sleeper
from edge.threads import in_thread
from precompute.errors import ModelStuck
from precompute.layouts import Layouts
from precompute.registry import Version
from precompute.runtime import digest
from precompute.updates import Command, Reply
from tests import onnx_models
from tests.small_project import model, small_project


class Scene:
    """One version of the small project's model."""

    def __init__(self, content: bytes) -> None:
        self.content, self.runs, project = content, Runs(), small_project()
        self.record = Version(1, "default", digest(content), len(content), 1)
        self.files = ModelFiles(project, self, Layouts(project), self.runs)  # type: ignore[arg-type]
        self.sleeper = Sleeper(project, self.record, project.model("score"), None, self.runs, lambda: 0.0)  # type: ignore[arg-type]

    async def run(self, _: Sequence[Command]) -> list[Reply]:
        """As a replica."""
        return [msgspec.json.encode(asdict(self.record)), self.content]


async def test_a_file_becomes_a_predictor() -> None:
    """In whichever thread."""
    scene = Scene(model())

    predictor = await in_thread("load", await scene.files.fetch(scene.sleeper))

    assert (predictor.servable.variant, predictor.servable.version) == ("default", 1)
    assert scene.runs.ended == 0


async def test_a_model_that_hangs_when_it_is_warmed_up_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs the thread some seconds, not for good."""
    monkeypatch.setattr(runs_module, "THREAD_LIMIT_S", 0.05)
    scene = Scene(onnx_models.looping(2, turns_at=1, least=2e9))
    scene.runs.start()

    with pytest.raises(ModelStuck):
        await in_thread("load", await scene.files.fetch(scene.sleeper))

    assert scene.runs.ended == 1
    scene.runs.stop()
