"""Follows the update logs on the replica and keeps the freshness tables up to date.

It begins by reading each log from its start, so that entries made before this edge began can be judged. Until a log
has been read to the end the tables speak of no epoch, and nothing counts as fresh. Whenever records may have been
missed (the log was trimmed past us, it ends before our position, or the primary's history has changed) it begins
again; that is the only recovery there is.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from edge.link import Link
from precompute.errors import NearcastError, StoreUnavailable
from precompute.freshness import Freshness
from precompute.keys import HEARTBEAT, REGISTRY_LOG, log_key
from precompute.updates import (
    Command,
    LogState,
    Reply,
    as_of_commands,
    change_id,
    parse_epoch,
    stream_id,
)

log = logging.getLogger(__name__)

#: Records of one read: noting them takes about half a millisecond of the event loop.
READ_RECORDS = 200
#: A read waits this long for news. It also bounds how long a change of the primary's history goes unnoticed.
BLOCK_MS = 250
_PAUSE_S = 0.2


class Follower:
    """Keeps one `Freshness` up to date from one replica."""

    def __init__(self, link: Link, views: list[str], on_registry: Callable[[], None]) -> None:
        self.freshness = Freshness(views)
        self._link = link
        self._views = views
        self._positions: dict[bytes, str] = {}
        self._on_registry = on_registry
        self._task: asyncio.Task[None] | None = None
        self._caught_up = asyncio.Event()
        self._spoke_at = -1.0
        #: Seconds that the replica says it is behind its primary; None if it does not know.
        self.replica_lag_s: float | None = None
        #: When the primary's side last gave a sign of life, by its own clock.
        self.heartbeat_ms: int | None = None
        self.records = 0
        self.restarts = 0
        #: Records that could not be read; each raises nothing and is stepped over.
        self.damaged = 0

    def start(self) -> None:
        """Follows until `stop`."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stops following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def caught_up(self) -> None:
        """Waits until the logs have been read to their ends once."""
        await self._caught_up.wait()

    def lag_s(self) -> float:
        """How far behind the primary this edge may be, in seconds, as far as it can know."""
        silent_s = time.monotonic() - self._spoke_at if self._spoke_at >= 0 else float("inf")
        return (self.replica_lag_s or 0.0) + max(0.0, silent_s - 2 * BLOCK_MS / 1000)

    async def _run(self) -> None:
        complained = False
        while True:
            try:
                await self._begin()
                complained = False
                while True:
                    await self._step()
            except NearcastError as error:
                if not complained:
                    log.warning("cannot follow the update logs: %s", error)
                complained = True
                await asyncio.sleep(_PAUSE_S)

    async def _begin(self) -> None:
        """Learns where the logs stand; keeps what the tables know if nothing can have been missed."""
        epoch, states = self._parse_state(await self._link.run(self._state_commands()))
        tables = self.freshness.tables
        if self.freshness.epoch == epoch and not any(_missed(tables[v].position, states[v]) for v in self._views):
            return
        self.restarts += 1
        self.freshness.epoch = None
        for view, state in states.items():
            tables[view].restart(floor=state.floor, position=0)
        registry = self._positions.get(REGISTRY_LOG.encode(), "0-0")
        self._positions = {log_key(view).encode(): "0-0" for view in self._views} | {REGISTRY_LOG.encode(): registry}
        while any(tables[v].position < states[v].last and states[v].length for v in self._views):
            await self._read(block_ms=None)
        for view, state in states.items():
            tables[view].position = max(tables[view].position, state.last)
            self._positions[log_key(view).encode()] = stream_id(tables[view].position)
        self.freshness.epoch = epoch
        self._caught_up.set()

    async def _step(self) -> None:
        """One wait for news, and one look at whether history is still the same."""
        await self._read(BLOCK_MS)
        epoch, states = self._parse_state(await self._link.run(self._state_commands()))
        if epoch != self.freshness.epoch or any(
            _missed(self.freshness.tables[v].position, states[v]) for v in self._views
        ):
            log.warning("records may have been missed: reading the update logs again")
            await self._begin()

    def _state_commands(self) -> list[Command]:
        return [*as_of_commands(self._views), ("GET", HEARTBEAT)]

    def _parse_state(self, replies: list[Reply]) -> tuple[int, dict[str, LogState]]:
        info, logs, heartbeat = replies[0], replies[1:-1], replies[-1]
        self.heartbeat_ms = int(heartbeat) if isinstance(heartbeat, bytes) and heartbeat.isdigit() else None
        states = {view: LogState.parse(reply) for view, reply in zip(self._views, logs, strict=True)}
        self.replica_lag_s = _replica_lag_s(info)
        self._spoke_at = time.monotonic()
        return parse_epoch(info), states

    async def _read(self, block_ms: int | None) -> None:
        block: tuple[str | int, ...] = () if block_ms is None else ("BLOCK", block_ms)
        keys, positions = list(self._positions), list(self._positions.values())
        command: Command = ("XREAD", "COUNT", READ_RECORDS, *block, "STREAMS", *keys, *positions)
        (reply,) = await self._link.run([command])
        if isinstance(reply, Exception):
            raise StoreUnavailable(f"cannot read the update logs: {reply}")
        for key, records in reply or []:
            self._positions[key] = records[-1][0].decode()
            if key == REGISTRY_LOG.encode():
                self._on_registry()
            else:
                self._note(key.decode()[3:-1], records)

    def _note(self, view: str, records: list[tuple[bytes, list[bytes]]]) -> None:
        table = self.freshness.tables[view]
        for record_id, fields in records:
            change = change_id(record_id)
            try:
                table.note(fields[1], change)
            except (IndexError, TypeError):
                self.damaged += 1
                table.position = max(table.position, change)
        self.records += len(records)


def _missed(position: int, state: LogState) -> bool:
    """Whether the log has lost records between our position and its beginning, or ends before we stand."""
    if state.last < position:
        return True
    return state.length > 0 and state.first > position and state.last > position > 0


def _replica_lag_s(info: Reply) -> float | None:
    """What a replica says of its link; 0 for a primary."""
    fields = dict(line.split(b":", 1) for line in info.splitlines() if b":" in line)
    if fields.get(b"role") == b"master":
        return 0.0
    if fields.get(b"master_link_status") == b"up":
        return 0.0
    down = int(fields.get(b"master_link_down_since_seconds", b"-1"))
    return float(down) if down >= 0 else None
