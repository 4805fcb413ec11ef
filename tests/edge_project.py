"""A project with a model for each policy of an edge, its rows and its published versions, on a real Redis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy.local.redis_pair import RedisPair
from precompute import manifest
from precompute.features import Features, Row
from precompute.manifest import Project
from precompute.registry import Registry
from precompute.runtime import Session
from precompute.settings import Settings
from precompute.store import Store
from tests import onnx_models

MANIFEST = """
[project]
name = "edges"

[views.flight.fields]
distance = "float32"
slack = "float32"
[views.weather.fields]
temp = "float32"

[models.late]
key = ["flight", "origin"]
views = { flight = "{flight}", weather = "{origin}" }
inputs = { x = ["flight.distance", "flight.slack", "weather.temp", "context.hour"] }
context = { hour = { type = "int64", default = 12, min = 0, max = 23 } }
variants = { default = { quality = 0.7 }, fast = { quality = 0.6 }, planned = {} }
policy = { ttl_s = 3600.0, ttl_jitter = 0.0, max_age_s = 60.0 }

[models.patient]
key = ["flight"]
inputs = { x = ["flight.distance", "flight.slack"] }
policy = { ttl_s = 3600.0, stale_while_revalidate_s = 600.0, stale_if_error_s = 900.0 }

[models.guess]
key = ["weather"]
inputs = { x = ["weather.temp"] }
policy = { default = { y = 0.5 } }

[models.unborn]
key = ["weather"]
inputs = { x = ["weather.temp"] }
"""
#: Seed of each published model's weights, by model and variant.
_PUBLISHED = {("late", "default"): 1, ("late", "fast"): 2, ("patient", "default"): 3, ("guess", "default"): 4}
_WIDTHS = {"late": 4, "patient": 2, "guess": 1}


def graph(model: str, variant: str = "default") -> bytes:
    """The ONNX file published for a variant: `x` float32[N, width] -> `y` float32[N, 1]."""
    return onnx_models.mlp((_WIDTHS[model], 8, 1), seed=_PUBLISHED[model, variant])


@dataclass(frozen=True, slots=True)
class EdgeProject:
    """The project on one Redis pair."""

    settings: Settings
    project: Project
    store: Store
    features: Features
    registry: Registry

    @classmethod
    def publish(cls, directory: Path, pair: RedisPair, **settings: object) -> EdgeProject:
        """This file's project with its models."""
        files = {(model, variant): graph(model, variant) for model, variant in _PUBLISHED}
        return cls.declare(directory, pair, MANIFEST, files, **settings)

    @classmethod
    def declare(
        cls, directory: Path, pair: RedisPair, text: str, files: Mapping[tuple[str, str], bytes], **settings: object
    ) -> EdgeProject:
        """Writes a project file, publishes models by name and variant, and waits until the replica has them."""
        path = directory / "nearcast.toml"
        path.write_text(text)
        urls = {"primary_url": pair.primary_url, "replica_url": pair.replica_url}
        chosen = Settings(project=path, **urls, **settings)  # type: ignore[arg-type]
        project, store = manifest.load(path), Store(pair.primary_url)
        it = cls(chosen, project, store, Features(store, project), Registry(store, project))
        for (model, variant), content in files.items():
            it.registry.publish(model, variant, content, now_ms=1)
        it.replicate()
        return it

    def replicate(self) -> None:
        """Waits until the replica has everything written so far."""
        # One connection for both: WAIT is about what its own connection has written.
        _, acknowledged = self.store.run([("SET", "test:mark", "1"), ("WAIT", 1, 10_000)])
        assert acknowledged == 1

    def put(self, view: str, rows: Sequence[tuple[str, Mapping[str, object]]], *, event_ms: int = 1) -> None:
        """Stores rows of any view."""
        assert not self.features.put(view, [Row(name, dict(values), event_ms) for name, values in rows]).rejected
        self.replicate()

    def put_flights(self, names: Sequence[str], distances: Sequence[float], *, event_ms: int = 1) -> None:
        """Stores flights, with half an hour of slack each."""
        rows = [Row(n, {"distance": d, "slack": 0.5}, event_ms) for n, d in zip(names, distances, strict=True)]
        assert not self.features.put("flight", rows).rejected
        self.replicate()

    def put_weather(self, temps: dict[str, float], *, event_ms: int = 1) -> None:
        """Stores the weather at some airports."""
        rows = [Row(airport, {"temp": temp}, event_ms) for airport, temp in temps.items()]
        assert not self.features.put("weather", rows).rejected
        self.replicate()


def direct(model: bytes, rows: Sequence[Sequence[float]] | NDArray[np.float32]) -> NDArray[np.float32]:
    """What ONNX Runtime itself makes of some rows of input `x`: `[N]`."""
    values: NDArray[np.float32] = np.asarray(Session.load(model).run({"x": np.array(rows, np.float32)})["y"])
    return values[:, 0]
