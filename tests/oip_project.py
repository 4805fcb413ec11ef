"""A project with a model for each kind of tensor that clients of the Open Inference Protocol send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from deploy.local.redis_pair import RedisPair
from precompute.features import Row
from tests import onnx_models
from tests.edge_project import EdgeProject

TOKEN = "let me in"

MANIFEST = """
[project]
name = "tensors"

[views.flight.fields]
v = "float32[4]"
name = "string"
n = "int64"
half = "float32[2]"
triple = "float32[3]"
scale = "float32"
[views.mixed.fields]
a = "float32"
b = "float64"
c = "int32"
d = "int64"
e = "bool"
wide = "float64[2]"
[views.photo.fields]
pixels = "uint8[28,28]"

[models.late]
key = ["flight"]
inputs = { x = "flight.v" }
variants = { default = { quality = 0.7 }, fast = { quality = 0.6 } }
[models.later]
key = ["flight"]
inputs = { x = "flight.v" }
[models.tagged]
key = ["flight"]
inputs = { name = ["flight.name"], n = ["flight.n"] }
[models.halves]
key = ["flight"]
inputs = { x = "flight.half" }
[models.scaled]
key = ["flight"]
inputs = { x = "flight.triple", scale = "flight.scale" }
[models.mixed]
key = ["mixed"]
inputs = { a = "mixed.a", b = "mixed.b", c = "mixed.c", d = "mixed.d", e = "mixed.e", wide = "mixed.wide" }
[models.image]
key = ["photo"]
inputs = { img = "photo.pixels" }
[models.seen]
key = ["photo"]
inputs = { img = "photo.pixels" }
outputs = { digit = { from = "scores", transform = "argmax" }, light = { from = "brightness" } }
[models.named]
key = ["flight"]
inputs = { x = "flight.v" }
[models.named.outputs]
best = { from = "output_probability", transform = "argmax" }
chances = { from = "output_probability" }
[models.guess]
key = ["flight"]
inputs = { x = "flight.v" }
policy = { default = { y = 0.5 } }
[models.strict]
key = ["flight"]
inputs = { carrier = "flight.name" }
[models.unborn]
key = ["flight"]
inputs = { x = "flight.v" }
"""
FILES = {
    ("late", "default"): onnx_models.mlp((4, 8, 1), seed=1),
    ("late", "fast"): onnx_models.mlp((4, 8, 1), seed=2),
    ("later", "default"): onnx_models.mlp((4, 8, 1), seed=3),
    ("tagged", "default"): onnx_models.tagged(),
    ("halves", "default"): onnx_models.halves(),
    ("scaled", "default"): onnx_models.shared_scalar(),
    ("mixed", "default"): onnx_models.mixed_inputs(),
    ("image", "default"): onnx_models.image(),
    ("seen", "default"): onnx_models.image(),
    ("named", "default"): onnx_models.sklearn_classifier(("a", "b", "c")),
    ("guess", "default"): onnx_models.mlp((4, 8, 1), seed=4),
    ("strict", "default"): onnx_models.strict_one_hot(),
}


def publish(directory: Path, pair: RedisPair, **settings: object) -> EdgeProject:
    """The project with its models, on an emptied pair."""
    project = EdgeProject.declare(directory, pair, MANIFEST, {}, **settings)
    project.store.call("FLUSHALL")
    for (model, variant), content in FILES.items():
        project.registry.publish(model, variant, content, now_ms=1)
    project.replicate()
    return project


def put_flights(project: EdgeProject, rows: dict[str, list[float]], *, event_ms: int = 1) -> None:
    """Stores flights with their four numbers; all else of them follows from these."""
    values = [
        Row(
            name,
            {"v": v, "name": "UA", "n": 7, "half": v[:2], "triple": v[:3], "scale": v[3]},
            event_ms,
        )
        for name, v in rows.items()
    ]
    assert not project.features.put("flight", values).rejected
    project.replicate()


def direct(model: str, variant: str = "default", **feeds: Any) -> dict[str, Any]:
    """What ONNX Runtime itself makes of some inputs: every output by name."""
    session = onnxruntime.InferenceSession(FILES[model, variant])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def same_bits(a: Any, b: Any) -> bool:
    """Whether two arrays agree in type, shape and every bit; -0.0 and 0.0 do not."""
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return bool((a == b).all()) if a.dtype == object else a.tobytes() == b.tobytes()
