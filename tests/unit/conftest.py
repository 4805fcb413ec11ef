"""How property tests are run."""

from __future__ import annotations

import os

from hypothesis import settings

#: Of each property; `make unit` looks at fewer than `make test`.
EXAMPLES = int(os.environ.get("NEARCAST_EXAMPLES", "100"))

# The same examples on every machine, and no clock: a slow machine is no failure.
settings.register_profile("unit", max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
settings.load_profile("unit")
