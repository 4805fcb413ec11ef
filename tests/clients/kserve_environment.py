"""The interpreter that has KServe's client.

What that needs does not fit with what we pin, so it has an environment of its own; `make setup` makes it, of
`kserve.txt`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

#: Where `make setup` puts it.
PYTHON = Path(sys.prefix) / "kserve" / "bin" / "python"
_CALLS = Path(__file__).with_name("kserve_calls.py")


def calls(url: str) -> dict[str, Any]:
    """What an edge answered to KServe's client, by name of the call."""
    assert PYTHON.exists(), f"{PYTHON} is not here: make setup"
    done = subprocess.run([PYTHON, _CALLS, url], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
