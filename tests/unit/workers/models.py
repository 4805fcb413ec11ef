"""A small project for tests that need a model but no server."""

from __future__ import annotations

from precompute import manifest

PROJECT = manifest.parse("""
[project]
name = "flights"
[views.flight.fields]
origin = "string"
distance = "float32"
[views.weather.fields]
temp = "float32"
[models.late]
key = ["flight", "origin"]
all_keys = { view = "flight", parts = { flight = "$entity", origin = "origin" } }
views = { flight = "{flight}", weather = "{origin}" }
inputs = { x = ["flight.distance", "weather.temp"] }
policy = { ttl_s = 100.0, refresh = "value" }
[models.never]
key = ["flight"]
inputs = { x = ["flight.distance"] }
policy = { refresh = "never" }
[models.other]
key = ["weather"]
inputs = { x = ["weather.temp"] }
policy = { refresh = "always" }
""")
