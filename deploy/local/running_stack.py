"""Where the stack runs that was started beside a project file, for commands in other terminals.

`nearcast up` writes `.nearcast/stack.json` and keeps a lock on it. The kernel drops the lock with the process, however
that ends, so a file without a lock is a left-over and counts for nothing.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

#: What `nearcast up` keeps beside the project file.
STATE_DIRECTORY = ".nearcast"
_FILE = "stack.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStack:
    """The addresses of a stack."""

    primary_url: str
    replica_url: str | None
    host: str
    port: int


@contextmanager
def announced(stack: RunningStack, project: Path) -> Iterator[bool]:
    """Lets others find the stack as long as the block lasts; false where the file cannot be written or is another's."""
    path = _path(project)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        file.truncate(0)
        file.write(json.dumps(asdict(stack)))
        file.flush()
        try:
            yield True
        finally:
            path.unlink(missing_ok=True)


def find_running_stack(project: Path) -> RunningStack | None:
    """The stack that runs beside this project file now, if there is one."""
    try:
        with _path(project).open(encoding="utf-8") as file:
            if not _is_locked(file.fileno()):
                return None
            return RunningStack(**json.load(file))
    except (OSError, ValueError, TypeError):
        return None


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _path(project: Path) -> Path:
    return project.resolve().parent / STATE_DIRECTORY / _FILE
