"""The import contracts of pyproject.toml bite: each is broken on purpose in a small copy of the house."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: The house as the contracts want it: module -> the one thing it may import.
ALLOWED = {
    "precompute/__init__.py": "",
    "precompute/keys.py": "",
    "precompute/otel.py": "import opentelemetry.sdk",
    "precompute/tracing.py": "import precompute.otel, opentelemetry.sdk",
    "precompute/store.py": "import redis, hiredis",
    "precompute/runtime.py": "import onnxruntime",
    "edge/__init__.py": "import precompute.keys",
    "edge/app.py": "import starlette.routing, uvicorn",
    "edge/contract/__init__.py": "import msgspec",
    "edge/client/__init__.py": "import httpx, stamina, edge.contract",
    "edge/link.py": "from redis.connection import parse_url",
    "edge/redis_wire.py": "import hiredis",
    "workers/__init__.py": "import precompute.keys",
    "workers/app.py": "import celery, kombu, billiard, apscheduler.schedulers",
    "deploy/__init__.py": "import edge.app, workers.app, precompute.store",
}

FORBIDDEN = [
    ("precompute/keys.py", "import edge.app"),
    ("precompute/keys.py", "import workers.app"),
    ("edge/app.py", "import workers.app"),
    ("workers/app.py", "import edge.app"),
    ("edge/app.py", "import deploy"),
    ("workers/app.py", "import deploy"),
    ("precompute/keys.py", "import redis"),
    ("edge/app.py", "from redis.asyncio import Redis"),
    ("workers/app.py", "def lazily():\n    import redis"),
    ("deploy/__init__.py", "import hiredis"),
    ("precompute/keys.py", "import onnxruntime"),
    ("edge/app.py", "import onnxruntime"),
    ("deploy/__init__.py", "import celery"),
    ("deploy/__init__.py", "import kombu"),
    ("precompute/keys.py", "import billiard"),
    ("edge/app.py", "import apscheduler"),
    ("deploy/__init__.py", "import uvicorn"),
    ("precompute/keys.py", "import starlette"),
    ("edge/app.py", "import opentelemetry.sdk"),
    ("edge/app.py", "import httpx"),
    ("deploy/__init__.py", "import stamina"),
    ("edge/client/__init__.py", "import edge.app"),
    ("edge/client/__init__.py", "import precompute.keys"),
    ("edge/contract/__init__.py", "import starlette"),
]


def lint(house: Path) -> subprocess.CompletedProcess[str]:
    """Checks all contracts in a house of its own."""
    program = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], cwd=house, capture_output=True, text=True, check=False
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A small house that keeps every contract."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, code in ALLOWED.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(code)
    return tmp_path


def test_the_house_as_designed_keeps_every_contract(house: Path) -> None:
    """Everything the design allows is allowed, so a broken contract below has one cause."""
    result = lint(house)

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("module", "code"), FORBIDDEN)
def test_an_import_against_the_design_breaks_a_contract(house: Path, module: str, code: str) -> None:
    """No package imports against the arrows, and no module but the named ones imports a fenced library."""
    with (house / module).open("a") as file:
        file.write(f"\n{code}\n")

    result = lint(house)

    assert result.returncode == 1
    assert "BROKEN" in result.stdout
