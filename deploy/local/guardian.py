"""A process that outlives its parent just long enough to stop what the parent has started.

It reads lines from standard input, `+GROUP` when a process group is born and `-GROUP` when one has ended.
However the parent dies, `kill -9` included, the pipe closes with it; then the groups still alive are
stopped, first politely.

A parent-death signal would need no extra process, but it reaches only direct children (not the pool of a
Celery worker), fires when the *thread* that started the child ends, and exists on Linux alone.

Run by path (`python -I -S guardian.py`) to stay small, so this file imports the standard library only.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable

_POLITE_S = 5.0
_NAP_S = 0.02


def main() -> None:
    """Follows the parent's lines until the parent is gone, then stops what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Whoever stops "everything" must not stop the one that tidies up; the closing pipe ends it soon
        # after.
        signal.signal(number, signal.SIG_IGN)
    stop_groups(follow(sys.stdin))


def follow(lines: Iterable[str]) -> set[int]:
    """The groups still alive once the lines end."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def stop_groups(groups: set[int]) -> None:
    """SIGTERM to all, SIGKILL to those that have not ended after five seconds."""
    deadline = time.monotonic() + _POLITE_S
    left = {group for group in groups if signal_group(group, signal.SIGTERM)}
    while left and time.monotonic() < deadline:
        time.sleep(_NAP_S)
        left = {group for group in left if signal_group(group, 0)}
    for group in left:
        signal_group(group, signal.SIGKILL)


def signal_group(group: int, number: int) -> bool:
    """Sends a signal; whether there was anybody to get it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        # macOS answers "not permitted" for a group in which only unreaped processes are left.
        return False
    return True


if __name__ == "__main__":
    main()
