"""Model files that lie beside a project file, by name.

models/MODEL.VARIANT.onnx
models/MODEL.onnx            the default variant
models/VARIANT.onnx          in a project with one model
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.cli.show import tell
from precompute.errors import ConfigError

if TYPE_CHECKING:
    from precompute.manifest import Project
    from precompute.models import Model
    from precompute.store import Store


def model_files(project: Project, directory: Path) -> list[tuple[Model, str, Path]]:
    """Each model's variants that have a file, the default variant first.

    Raises:
        ConfigError: there is none at all.
    """
    found = []
    for model in project.models.values():
        variants = sorted(model.variants, key=lambda name: name != model.default_variant)
        for variant in variants:
            names = _names(model, variant, alone=len(project.models) == 1)
            path = next((directory / name for name in names if (directory / name).is_file()), None)
            if path:
                found.append((model, variant, path))
    if not found:
        raise ConfigError(f"nothing to publish: {directory} has no MODEL.onnx or MODEL.VARIANT.onnx of this project")
    return found


def _names(model: Model, variant: str, *, alone: bool) -> list[str]:
    names = [f"{model.name}.{variant}.onnx"]
    if variant == model.default_variant:
        names.append(f"{model.name}.onnx")
    return [*names, f"{variant}.onnx"] if alone else names


def publish_files(store: Store, project: Project, directory: Path) -> None:
    """Publishes and activates them all; a file that is its variant's newest version already changes nothing.

    Raises:
        ConfigError: there is none.
        ModelRejected: a file does not fit its declaration.
    """
    from precompute.registry import Registry

    registry = Registry(store, project)
    for model, variant, path in model_files(project, directory):
        version = registry.publish(
            model.name, variant, read_model(path), now_ms=time.time_ns() // 1_000_000, note=path.name
        )
        tell(f"{model.name} serves version {version.version} of variant {variant} ({path.name})")


def read_model(path: Path) -> bytes:
    """The bytes of a model file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
