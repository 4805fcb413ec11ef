"""The directory the embedded Redis keeps its data in: one owner at a time, and no silent downgrade.

An older server does not see what a newer one has written (since 7.0 the append-only file lives in a folder
of its own); it would start empty, and the data would seem lost. So the directory remembers who wrote it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

from deploy.local.redis_binary import RedisBinary, Version
from precompute.errors import ConfigError

_LOCK = "lock"
_WRITTEN_BY = "written-by"

#: Valkey continues Redis up to here; later releases of the two went separate ways.
_LAST_COMMON: Version = (7, 2, 999)


class DataDirectory:
    """A locked data directory.

    A server that is handed `lock_fd` holds the lock as long as it lives, even if it outlives us.
    """

    def __init__(self, path: Path, binary: RedisBinary) -> None:
        """Makes the directory if needed and locks it.

        Raises:
            ConfigError: it cannot be made or written, is in use, or was written by a server that `binary`
            cannot follow.
        """
        self.path = path.resolve()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock_fd = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(f"data directory {path}: {error.strerror}") from error
        try:
            self._lock()
            self._sign(binary)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives up our share of the lock."""
        os.close(self.lock_fd)

    def _lock(self) -> None:
        try:
            fcntl.flock(self.lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"data directory {self.path} is in use by another nearcast") from None

    def _sign(self, binary: RedisBinary) -> None:
        signature = self.path / _WRITTEN_BY
        written_by = signature.read_text().split() if signature.exists() else []
        if written_by and not can_follow(binary, written_by[0], _parse(written_by[1])):
            raise ConfigError(
                f"data directory {self.path} was written by {' '.join(written_by)}, which {binary} cannot "
                "read; install that version, or use another directory"
            )
        signature.write_text(f"{binary.product} {'.'.join(map(str, binary.version))}\n")


def can_follow(binary: RedisBinary, product: str, version: Version) -> bool:
    """Whether `binary` reads what `product` `version` has written."""
    if binary.product == product:
        return binary.version[:2] >= version[:2]
    return product == "redis" and version <= _LAST_COMMON


def _parse(version: str) -> Version:
    major, minor, patch = (int(part) for part in version.split("."))
    return major, minor, patch
