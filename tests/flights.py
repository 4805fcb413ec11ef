"""A small project with two models, its rows and its published versions, for tests with a real Redis."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from precompute import manifest, predictions
from precompute.entry import Entry
from precompute.features import Features, Row
from precompute.manifest import Project
from precompute.registry import Registry
from precompute.settings import Settings
from precompute.store import Store
from tests import onnx_models

MANIFEST = """
[project]
name = "flights"

[views.flight.fields]
origin = "string"
distance = "float32"
slack = "float32"
[views.weather.fields]
temp = "float32"

[models.late]
key = ["flight", "origin"]
all_keys = { view = "flight", parts = { flight = "$entity", origin = "origin" } }
views = { flight = "{flight}", weather = "{origin}" }
inputs = { x = ["flight.distance", "flight.slack", "weather.temp", "context.hour"] }
context = { hour = { type = "float32", default = 12.0 } }
variants = { default = { quality = 0.7 }, fast = { quality = 0.6 } }
policy = { ttl_s = TTL_S, ttl_jitter = 0.0, refresh = "always" }

[models.fixed]
key = ["weather"]
inputs = { x = ["weather.temp"] }
policy = { refresh = "never" }
"""
AIRPORTS = ["EWR", "JFK", "LGA", "New York/3"]


@dataclass(frozen=True, slots=True)
class Flights:
    """The project on one server."""

    settings: Settings
    project: Project
    store: Store
    features: Features
    registry: Registry

    @classmethod
    def publish(cls, directory: Path, primary_url: str, *, ttl_s: float = 3600.0, **settings: object) -> Flights:
        """Writes the project file and publishes one version of each variant and model."""
        path = directory / "nearcast.toml"
        path.write_text(MANIFEST.replace("TTL_S", str(ttl_s)))
        chosen = Settings(project=path, primary_url=primary_url, **settings)  # type: ignore[arg-type]
        project, store = manifest.load(path), Store(primary_url)
        flights = cls(chosen, project, store, Features(store, project), Registry(store, project))
        for variant, seed in (("default", 1), ("fast", 2)):
            flights.registry.publish("late", variant, onnx_models.mlp((4, 8, 1), seed=seed), now_ms=1)
        flights.registry.publish("fixed", "default", onnx_models.mlp((1, 4, 1)), now_ms=1)
        return flights

    def put(self, count: int, *, start: int = 0) -> list[str]:
        """Stores flights and all weather; returns the flights' keys as they are written in the store."""
        self.weather(10.0)
        numbers = range(start, start + count)
        rows = [Row(f"UA{i}", {"origin": AIRPORTS[i % 4], "distance": i / count, "slack": 0.5}, 1) for i in numbers]
        assert self.features.put("flight", rows).written == count
        origins = [airport.replace(" ", "~20").replace("/", "~2F") for airport in AIRPORTS]
        return [f"UA{i}:{origins[i % 4]}?hour=12.0" for i in numbers]

    def weather(self, temp: float, event_ms: int = 1) -> None:
        """The weather changes everywhere."""
        self.features.put("weather", [Row(airport, {"temp": temp}, event_ms) for airport in AIRPORTS])

    def entries(self, keys: list[str], model: str = "late", version: int = 1) -> list[Entry]:
        """What is stored for these keys; damaged entries are errors, absent ones are left out."""
        servable = self.registry.load(model, version)
        found = predictions.read(self.store, servable, keys)
        assert not [entry for entry in found if isinstance(entry, Exception)]
        return [entry for entry in found if isinstance(entry, Entry)]
