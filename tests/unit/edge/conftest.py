"""How property tests of the edge are run."""

from __future__ import annotations

from hypothesis import settings

# The same examples on every machine, and no clock: a slow machine is no failure.
settings.register_profile("unit", deadline=None, derandomize=True, database=None)
settings.load_profile("unit")
