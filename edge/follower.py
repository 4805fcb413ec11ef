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
    GONE_FIELD,
    SEQUENCE_BITS,
    Command,
    LogState,
    Reply,
    as_of_commands,
    change_id,
    parse_epoch,
)

log = logging.getLogger(__name__)

#: Records of one read: noting them takes about half a millisecond of the event loop.
READ_RECORDS = 200
#: A read waits this long for news. It also bounds how long a change of the primary's history goes unnoticed.
BLOCK_MS = 250
_PAUSE_S = 0.2
#: A healthy primary says something at least this often (`repl-ping-replica-period`).
PING_S = 10.0


class Follower:
    """Keeps one `Freshness` up to date from one replica."""

    def __init__(self, link: Link, views: list[str], on_registry: Callable[[], None]) -> None:
        self.freshness = Freshness(views)
        self._link = link
        self._views = views
        self._positions: dict[bytes, str] = {}
        self._settled = dict.fromkeys(views, 0)
        self._on_registry = on_registry
        self._task: asyncio.Task[None] | None = None
        self._caught_up = asyncio.Event()
        #: When the replica last told us where its logs stand.
        self._spoke_at = 0.0
        #: Seconds that the replica says it is behind its primary; None if nobody knows.
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
        if self.replica_lag_s is None:
            return float("inf")
        silent_s = time.monotonic() - self._spoke_at
        return self.replica_lag_s + max(0.0, silent_s - 2 * BLOCK_MS / 1000)

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
            except Exception:
                # Were this the end, the tables would stand still, and what changes from now on would stay fresh.
                self.freshness.epoch = None
                log.exception("the follower stumbled; it reads the update logs again")
            await asyncio.sleep(_PAUSE_S)

    async def _begin(self) -> None:
        """Learns where the logs stand; keeps what the tables know if nothing can have been missed."""
        epoch, states = self._parse_state(await self._link.run(self._state_commands()))
        tables = self.freshness.tables
        if self.freshness.epoch == epoch and not self._may_have_missed(states):
            return
        self.restarts += 1
        self.freshness.epoch = None
        for view, state in states.items():
            tables[view].restart(floor=state.floor, position=0)
        registry = self._positions.get(REGISTRY_LOG.encode(), "0-0")
        self._positions = {log_key(view).encode(): "0-0" for view in self._views} | {REGISTRY_LOG.encode(): registry}
        # A log may end before its last id: records can be deleted, and trimmed while we read.
        while any(tables[v].position < states[v].last for v in self._views) and await self._read(block_ms=None):
            pass
        now, later = self._parse_state(await self._link.run(self._state_commands()))
        if now != epoch:
            raise StoreUnavailable("the primary's history changed while its logs were read")
        for view, state in states.items():
            tables[view].position = max(tables[view].position, state.last)
            # What was trimmed while we read is as unknown as what was trimmed before.
            tables[view].floor = max(state.floor, later[view].floor)
        self._settle()
        self.freshness.epoch = epoch
        self._caught_up.set()

    async def _step(self) -> None:
        """One wait for news, and one look at whether history is still the same."""
        await self._read(BLOCK_MS)
        epoch, states = self._parse_state(await self._link.run(self._state_commands()))
        if epoch != self.freshness.epoch or self._may_have_missed(states):
            log.warning("records may have been missed: reading the update logs again")
            self.freshness.epoch = None
            await self._begin()
        else:
            self._settle()

    def _may_have_missed(self, states: dict[str, LogState]) -> bool:
        # A read jumps over a gap without a word, so where we stood before it counts as well.
        tables = self.freshness.tables
        return any(_missed(self._settled[v], s) or _missed(tables[v].position, s) for v, s in states.items())

    def _settle(self) -> None:
        """Everything up to where we stand has been read without a gap."""
        self._settled = {view: self.freshness.tables[view].position for view in self._views}

    def _state_commands(self) -> list[Command]:
        return [*as_of_commands(self._views), ("GET", HEARTBEAT)]

    def _parse_state(self, replies: list[Reply]) -> tuple[int, dict[str, LogState]]:
        info, logs, heartbeat = replies[0], replies[1:-1], replies[-1]
        self.heartbeat_ms = int(heartbeat) if isinstance(heartbeat, bytes) and heartbeat.isdigit() else None
        states = {view: LogState.parse(reply) for view, reply in zip(self._views, logs, strict=True)}
        epoch = parse_epoch(info)
        self.replica_lag_s = _replica_lag_s(info)
        self._spoke_at = time.monotonic()
        return epoch, states

    async def _read(self, block_ms: int | None) -> bool:
        """Notes what is new; whether there was anything."""
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
        return bool(reply)

    def _note(self, view: str, records: list[tuple[bytes, list[bytes]]]) -> None:
        table = self.freshness.tables[view]
        for record_id, fields in records:
            change = change_id(record_id)
            try:
                table.note(fields[1], change, gone=GONE_FIELD in fields[2::2])
            except (IndexError, TypeError):
                self.damaged += 1
                table.position = max(table.position, change)
        self.records += len(records)


def _missed(position: int, state: LogState) -> bool:
    """Whether the log has lost records between our position and its beginning, or ends before we stand."""
    if state.last < position and not _is_rounding(position, state.last):
        return True
    return state.length > 0 and state.first > position and state.last > position > 0


def _is_rounding(position: int, last: int) -> bool:
    """Beyond 20 bits of sequence, the same id rounded up as a change is one more than rounded down as an end."""
    return position == last + 1 and position % (1 << SEQUENCE_BITS) == 0


def _replica_lag_s(info: Reply) -> float | None:
    """What a replica says of its link; 0 for a primary, None for a replica that has never heard of its primary."""
    fields = dict(line.split(b":", 1) for line in info.splitlines() if b":" in line)
    if fields.get(b"role") == b"master":
        return 0.0
    if fields.get(b"master_link_status") == b"up":
        # A network that swallows everything leaves the link up for a minute.
        return max(0.0, float(fields.get(b"master_last_io_seconds_ago", b"0")) - PING_S)
    down = int(fields.get(b"master_link_down_since_seconds", b"-1"))
    return float(down) if down >= 0 else None
