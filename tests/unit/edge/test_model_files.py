"""Model files on their way from Redis to a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import msgspec
import pytest

from edge import model_files
from edge import runs as runs_module
from edge.model_files import ModelFiles
from edge.runs import Runs
from edge.sleeper import Sleeper
from edge.threads import in_thread
from precompute.errors import ModelStuck, VersionMissing
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

    async def run(self, commands: Sequence[Command]) -> list[Reply]:
        """As a replica."""
        ((name, *rest),) = commands
        if name == "HGET":
            return [msgspec.json.encode(asdict(self.record))]
        assert name == "GETRANGE"
        _, first, last = rest
        return [self.content[int(first) : int(last) + 1]]


@pytest.mark.parametrize("pieces", [1, 2, 3.5])
async def test_a_file_becomes_a_predictor(pieces: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whichever thread, and in however many pieces it comes."""
    scene = Scene(model())
    monkeypatch.setattr(model_files, "_PIECE_BYTES", int(len(scene.content) / pieces))

    predictor = await in_thread("load", await scene.files.fetch(scene.sleeper))

    assert (predictor.servable.variant, predictor.servable.version) == ("default", 1)
    assert scene.runs.ended == 0


async def test_a_file_that_is_not_there_is_said_to_be_missing() -> None:
    """A replica may have the record before it has the file."""
    scene = Scene(model())
    scene.content = b""

    with pytest.raises(VersionMissing):
        (await scene.files.fetch(scene.sleeper))()


async def test_a_model_that_hangs_when_it_is_warmed_up_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs the thread some seconds, not for good."""
    monkeypatch.setattr(runs_module, "THREAD_LIMIT_S", 0.05)
    scene = Scene(onnx_models.looping(2, turns_at=1, least=2e9))
    scene.runs.start()

    with pytest.raises(ModelStuck):
        await in_thread("load", await scene.files.fetch(scene.sleeper))

    assert scene.runs.ended == 1
    scene.runs.stop()
