"""What is done with all connections of a process at once: those that idle are closed, and on a stop all of them end."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from edge.lane import LaneProtocol

#: Connections looked at before others get a turn of the event loop.
_SWEPT_AT_ONCE = 500


def drain(protocol: type[LaneProtocol], connections: set[Any]) -> None:
    """Lets the connections end one by one, each with its next answer; new ones as well."""
    protocol.draining = True
    for connection in list(connections):
        connection.begin_draining()


async def sweep_idle(connections: set[Any], keep_alive_s: float, *, every_s: float = 1.0) -> None:
    """Closes connections that nothing has come in on for too long, until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        for at, connection in enumerate(list(connections), 1):
            if connection.is_idle() and time.perf_counter() - connection.seen_s > keep_alive_s:
                connection.hang_up()
            if at % _SWEPT_AT_ONCE == 0:
                await asyncio.sleep(0)
