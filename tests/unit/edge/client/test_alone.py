"""The client is on its own, and both of its kinds are the same."""

from __future__ import annotations

import inspect
import subprocess
import sys

from edge.client import AsyncClient, Client

ALONE = """
import sys
import edge.client
servers = {"starlette", "uvicorn", "precompute", "onnxruntime", "redis", "numpy", "orjson", "pydantic"}
print(sorted({name.partition(".")[0] for name in sys.modules} & servers))
inside = {name.split(".")[1] for name in sys.modules if name.startswith("edge.")}
print(sorted(inside - {"client", "contract"}))
"""


def test_importing_it_imports_no_server() -> None:
    """An application has none of that installed, or would wait for it."""
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["[]", "[]"]


def test_what_one_can_be_asked_the_other_can() -> None:
    """By the same names and parameters, with the same words."""
    public = {name for name in vars(Client) if not name.startswith("_")}

    assert public == {name for name in vars(AsyncClient) if not name.startswith("_")}
    for name in public:
        one, other = getattr(Client, name), getattr(AsyncClient, name)
        assert inspect.signature(one) == inspect.signature(other), name
        assert one.__doc__ == other.__doc__, name
