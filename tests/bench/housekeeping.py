"""The system's own threads, kept from the core of what is measured.

Where one of them runs for 2 ms twice a second (one that looks over a virtual machine's memory does), everybody waits
for it who asks the server on that core meanwhile, and nearly as long again until the server has caught up: of half a
second that is one request in a hundred. Measuring on isolated cores is how systems are compared that have cores to
spare; this is what can be done with two, for every server alike.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: Of `flags` in `/proc/PID/stat`, as in Linux' `sched.h`: a thread of the kernel; one that stays where it is.
_KERNEL, _STAYS = 0x00200000, 0x04000000
#: The parent of them all, whose children would inherit where it may run.
_PARENT = 2


@contextmanager
def housekeeping_aside(core: int) -> Iterator[int]:
    """Until the end of the block threads of the kernel leave a core to others: how many do.

    Those that may run elsewhere too and can be moved, which takes root's rights.
    """
    moved: dict[int, set[int]] = {}
    try:
        for thread in _kernel_threads():
            with suppress(OSError):  # It has ended, or we may not.
                cores = os.sched_getaffinity(thread)
                if core in cores and len(cores) > 1:
                    os.sched_setaffinity(thread, cores - {core})
                    moved[thread] = cores
        yield len(moved)
    finally:
        for thread, cores in moved.items():
            with suppress(OSError):
                os.sched_setaffinity(thread, cores)


def _kernel_threads() -> Iterator[int]:
    """Those that can be moved."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            flags = int(path.read_text().rpartition(")")[2].split()[6])
            thread = int(path.parent.name)
            if flags & _KERNEL and not flags & _STAYS and thread != _PARENT:
                yield thread
