"""A project of one view and one model, small enough to be seen at a glance."""

from __future__ import annotations

from pathlib import Path

from precompute.manifest import Project, parse
from tests import onnx_models

TEXT = """
[project]
name = "small"

[views.thing]
entity = "thing"
[views.thing.fields]
v = "float32[2]"
temp = { type = "float32", missing = "nan" }
count = { type = "int64", default = 0 }
label = { type = "string", default = "none" }

[models.score]
key = ["thing"]
[models.score.inputs]
x = "thing.v"
[models.score.variants]
default = {}
other = {}
"""


def small_project() -> Project:
    """The project, checked."""
    return parse(TEXT)


def write_project(directory: Path) -> Path:
    """Puts the project file and a model for its default variant into a directory; returns the file."""
    path = directory / "nearcast.toml"
    path.write_text(TEXT)
    (directory / "models").mkdir()
    (directory / "models" / "score.onnx").write_bytes(model())
    return path


def model(seed: int = 0) -> bytes:
    """A model file that fits: `x` float32[N, 2] -> `y` float32[N, 1]."""
    return onnx_models.mlp((2, 4, 1), seed=seed)
