"""Memory of this process, and the limit that its container sets, as Linux tells them; 0 where nobody does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_STATUS = Path("/proc/self/statm")
#: Of the second version of control groups; the root group has none.
_LIMIT = Path("/sys/fs/cgroup/memory.max")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if sys.platform != "win32" else 4096


def resident_bytes(status: Path = _STATUS) -> int:
    """What this process holds in memory."""
    try:
        return int(status.read_bytes().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


def limit_bytes(limit: Path = _LIMIT) -> int:
    """What all processes of the container may hold together."""
    try:
        return int(limit.read_bytes())
    except (OSError, ValueError):
        return 0
