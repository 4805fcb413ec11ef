"""Follows the update logs on the replica and keeps the freshness tables up to date.

What the replies mean is decided in `precompute.log_reading`. One connection waits for news and reads them; over
another one the replication id is looked at every `WATCH_S`, because a wait for news can outlast a failover. So an entry
of the old history can be called fresh for at most `WATCH_S`, a round trip and a turn of the event loop after the
replica has applied the first change of a new one. If the replica does not answer, lag grows instead.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from edge.lag import Lag
from edge.link import Link
from precompute.durations import Histogram
from precompute.errors import NearcastError
from precompute.freshness import Freshness
from precompute.keys import HEARTBEAT, REGISTRY_LOG, log_key
from precompute.log_reading import LogReading
from precompute.updates import HISTORY, Command, Reply, change_id, milliseconds, parse_epoch

log = logging.getLogger(__name__)

#: A read waits this long for news.
BLOCK_MS = 250
#: How often the replication id is looked at meanwhile; a look costs edge and replica about 0.1 ms each.
WATCH_S = 0.02
#: After so many records in one turn more are likely: a short wait lets them gather, and halves the work.
_BUSY_RECORDS = 20
_GATHER_S = 0.001
_PAUSE_S = 0.2
#: Timing each record of a crowd would cost a third of what following it does.
_TIMED_TOGETHER = 16


class Follower:
    """Keeps one `Freshness` up to date from one replica."""

    def __init__(
        self,
        link: Link,
        views: list[str],
        on_registry: Callable[[], None],
        *,
        watch: Link | None = None,
        on_records: Callable[[str, Sequence[Reply], int], None] = lambda view, records, wall_ms: None,
    ) -> None:
        """Follows nothing yet.

        Args:
            link: the follower's own.
            watch: another one to the same server, shared with whoever does not wait.
            on_records: told of new records of a view's log, once they are known, and of the time by our clock.
        """
        self.freshness = Freshness(views)
        self.reading = LogReading(self.freshness, [REGISTRY_LOG])
        self.lag = Lag()
        #: From a change to the end of what it made stale here, by the primary's clock and ours.
        self.delays = Histogram()
        self._on_records = on_records
        self._view_of = {log_key(view).encode(): view for view in views}
        self._link = link
        self._watched = watch
        self._on_registry = on_registry
        self._tasks: list[asyncio.Task[None]] = []
        self._caught_up = asyncio.Event()

    @property
    def records(self) -> int:
        """Log records read."""
        return self.reading.records

    @property
    def damaged(self) -> int:
        """Records that could not be read and were stepped over."""
        return self.reading.damaged

    @property
    def restarts(self) -> int:
        """How often the logs were read from their start."""
        return self.reading.restarts

    @property
    def heartbeat_ms(self) -> int | None:
        """When the primary's side last gave a sign of life, by its own clock."""
        return self.lag.heartbeat_ms

    def start(self) -> None:
        """Follows until `stop`."""
        self._tasks = [asyncio.create_task(self._run())]
        if self._watched is not None:
            self._tasks.append(asyncio.create_task(self._watch(self._watched)))

    async def stop(self) -> None:
        """Stops following."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def caught_up(self) -> None:
        """Waits until the logs have been read to their ends once."""
        await self._caught_up.wait()

    def lag_s(self) -> float:
        """How far behind the primary this edge may be, in seconds, as far as it can know."""
        return self.lag.lag_s(time.monotonic())

    def unread_s(self) -> float:
        """How long ago the replica's logs had been read to their end, in seconds; infinite until they are."""
        return self.lag.unread_s(time.monotonic())

    async def _run(self) -> None:
        complained = False
        while True:
            try:
                await self._turn()
                complained = False
            except NearcastError as error:
                if not complained:
                    log.warning("cannot follow the update logs: %s", error)
                complained = True
                await asyncio.sleep(_PAUSE_S)
            except Exception:
                # Were this the end, the tables would stand still, and what changes from now on would stay fresh.
                self.reading.doubt()
                log.exception("the follower stumbled; it reads the update logs again")
                await asyncio.sleep(_PAUSE_S)

    async def _turn(self) -> None:
        reading, asked_s = self.reading, time.monotonic()
        before, restarts, epoch = reading.records, reading.restarts, self.freshness.epoch
        commands: list[Command] = [*reading.commands(BLOCK_MS), ("GET", HEARTBEAT)]
        *replies, heartbeat = await self._link.run(commands)
        for _ in reading.take(replies):
            await asyncio.sleep(0)
        wall_ms = time.time_ns() // 1_000_000
        self.lag.hear(replies[2], heartbeat, time.monotonic(), wall_ms)
        if epoch is not None and epoch == self.freshness.epoch:
            self._time(replies[1], wall_ms)
        if reading.at_end:
            self.lag.complete(asked_s)
            self._caught_up.set()
        if reading.restarts > restarts > 0:
            log.warning("the primary's history has changed: reading the update logs from their start")
        if reading.others_moved():
            self._on_registry()
        if reading.at_end and reading.records - before > _BUSY_RECORDS:
            await asyncio.sleep(_GATHER_S)

    def _time(self, news: Reply, wall_ms: int) -> None:
        """Notes how long changes took to get here; of some that came together, as long as the first of them."""
        for name, records in news or ():
            view = self._view_of.get(name)
            if view is None:
                continue
            self._on_records(view, records, wall_ms)
            for at in range(0, len(records), _TIMED_TOGETHER):
                after_ms = wall_ms - milliseconds(change_id(records[at][0]))
                self.delays.observe(max(0, after_ms) / 1000, min(_TIMED_TOGETHER, len(records) - at))

    async def _watch(self, link: Link) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                (info,) = await link.run([HISTORY])
                epoch = parse_epoch(info)
            except NearcastError:
                continue  # The other connection tells how long ago the replica was heard.
            if self.freshness.epoch not in (None, epoch):
                self.reading.doubt()
