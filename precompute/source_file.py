"""A file of lines, gzipped or not, that knows how much of it has been read."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from precompute.errors import ConfigError, PermanentError

#: A line beyond this is no row: the largest field has 1 MiB, and as text it takes a few times that.
MAX_LINE_BYTES = 16 << 20

_DAMAGE: tuple[type[Exception], ...] = (OSError, EOFError, zlib.error)


class SourceFile:
    """An open file; `stream` has its bytes, unpacked."""

    def __init__(self, path: Path) -> None:
        """Opens it.

        Raises:
            ConfigError: it cannot be opened.
        """
        self.path = path
        try:
            self._raw: IO[bytes] = path.open("rb")
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        self._size = path.stat().st_size if self._raw.seekable() else 0
        self.stream = cast(IO[bytes], gzip.GzipFile(fileobj=self._raw)) if path.suffix == ".gz" else self._raw

    def share(self) -> float | None:
        """How much has been read, 0 to 1; None for a pipe."""
        return self._raw.tell() / self._size if self._size else None

    def __enter__(self) -> SourceFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self._raw.close()


@contextmanager
def readable(path: Path, *more: type[Exception]) -> Iterator[None]:
    """Turns what goes wrong while reading into one error that names the file.

    Raises:
        PermanentError: the file is damaged or cut short.
    """
    try:
        yield
    except _DAMAGE + more as error:
        reason = str(error).splitlines() or [type(error).__name__]
        raise PermanentError(f"{path}: cannot be read to its end: {reason[0]}") from error
