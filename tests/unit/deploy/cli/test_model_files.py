"""Model files by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.cli.model_files import model_files
from precompute.errors import ConfigError
from precompute.manifest import Project, parse
from tests.small_project import TEXT, small_project


def found(directory: Path, project: Project, *names: str) -> list[tuple[str, str, str]]:
    """What is found after these files have been made: model, variant, file."""
    for name in names:
        (directory / name).touch()
    return [(model.name, variant, path.name) for model, variant, path in model_files(project, directory)]


def test_a_file_is_named_for_model_and_variant(tmp_path: Path) -> None:
    """Without a variant it is the default one, which is published first."""
    files = found(tmp_path, small_project(), "score.onnx", "score.other.onnx", "unrelated.onnx")

    assert files == [("score", "default", "score.onnx"), ("score", "other", "score.other.onnx")]


def test_in_a_project_of_one_model_the_variant_is_name_enough(tmp_path: Path) -> None:
    """With two models it would not say whose."""
    two = TEXT + '[models.second]\nkey = ["thing"]\n[models.second.inputs]\nx = "thing.v"\n'

    files = found(tmp_path, small_project(), "other.onnx")

    assert files == [("score", "other", "other.onnx")]
    with pytest.raises(ConfigError):
        model_files(parse(two), tmp_path)


def test_nothing_to_publish_is_told_before_anything_starts(tmp_path: Path) -> None:
    """Whoever asks for it expects a file."""
    with pytest.raises(ConfigError, match=r"nothing to publish: .* has no MODEL.onnx"):
        model_files(small_project(), tmp_path)
