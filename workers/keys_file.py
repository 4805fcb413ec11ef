"""Text files with one key per line, read piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

from precompute.job_record import Failure
from precompute.key_text import MAX_KEY_BYTES
from workers.errors import JobRefused

#: Keys that are handed over together; of any source.
PAGE = 1000
#: A line longer than any key with its context is cut off rather than read.
MAX_LINE_BYTES = 4 * MAX_KEY_BYTES

#: A key, or what stands where one should be.
Listed: TypeAlias = str | Failure


def read_keys_file(path: Path) -> Iterator[list[Listed]]:
    """The keys of a text file; a `Failure` for a line that holds none. Raises JobRefused if it cannot be read."""
    page: list[Listed] = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(_lines(file), 1):
                page += _line(line, number)
                if len(page) >= PAGE:
                    yield page
                    page = []
    except OSError as error:
        raise JobRefused(f"cannot read {path}: {error.strerror}") from None
    yield page


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    """The lines of a file; None for one that is too long."""
    while line := file.readline(MAX_LINE_BYTES):
        whole = line.endswith(b"\n") or len(line) < MAX_LINE_BYTES
        yield line if whole else None
        while not whole:
            line = file.readline(MAX_LINE_BYTES)
            whole = line.endswith(b"\n") or len(line) < MAX_LINE_BYTES


def _line(line: bytes | None, number: int) -> list[Listed]:
    if line is None:
        return [Failure(f"line {number}", f"is longer than {MAX_LINE_BYTES} bytes")]
    try:
        text = line.decode().strip()
    except UnicodeDecodeError:
        return [Failure(f"line {number}", "is not UTF-8")]
    return [] if not text or text.startswith("#") else [text]
