"""Memory of this process, and the limit that its container sets, as Linux tells them; 0 where nobody does."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_STATUS = Path("/proc/self/statm")
#: Of the second version of control groups; the root group has none.
_LIMIT = Path("/sys/fs/cgroup/memory.max")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if sys.platform != "win32" else 4096


#: glibc's `M_MMAP_THRESHOLD`, and what is given back at once from then on.
_MMAP_THRESHOLD, _LARGE_BYTES = -3, 256 << 10


def give_back_large_pieces() -> None:
    """Has the C library give back large pieces of memory, such as a model's weights, as soon as they are freed.

    Left alone it comes to keep them for later: after some hundred models had been loaded and let go of, a process that
    needed 213 MB held 425 MB. Asking it now and then to tidy up takes 36 ms, during which others wait for memory.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # Only glibc has it.
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)


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
