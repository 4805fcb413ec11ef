"""The refresher process: when a feature changes, the hot predictions behind it are recomputed before anyone asks.

1. Read what changed; each record comes to one refresher, and to another if that one dies.
2. Find the keys worth refreshing that depend on it, in an index in memory that follows the plan.
3. Let them wait a moment, so that changes which come together cost one computation.
4. Queue them for the workers, the worthiest first, as many as there is room for.
5. Acknowledge the records whose keys are all queued.

Nothing here decides whether an answer is fresh; a refresh that is late or lost costs a computation at the edge.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence

from precompute import dead_letters, manifest
from precompute.errors import StoreUnavailable
from precompute.manifest import Project
from precompute.settings import Settings
from precompute.store import Store
from precompute.tracing import OFF, open_tracing
from workers import tallies
from workers.allowance import Allowance
from workers.app import check_servers
from workers.change_reader import READ_RECORDS, ChangeReader, Delivery
from workers.chunks import now_ms
from workers.exporter import exported, new_registry
from workers.messages import REFRESH_KEYS
from workers.pending import PendingRefreshes
from workers.planning import Planning
from workers.receipts import Receipts
from workers.refresh_metrics import RefreshCollector, RefreshCounts
from workers.refresh_sender import RefreshSender
from workers.role_beat import Pulse, beating
from workers.stopping import stop_on_signals
from workers.task_queue import RefreshQueue, open_queue

log = logging.getLogger(__name__)

#: How long one read may wait: a stop must not take longer.
_BLOCK_MS = 500
_REPLAN_EVERY_S = 3.0
#: How often we say that we are alive, and look for those who are not.
_ROLL_CALL_EVERY_S = 1.0
_PAUSE_S = 1.0


class Refresher:
    """The five steps, on one thread."""

    def __init__(
        self,
        store: Store,
        project: Project,
        queue: RefreshQueue,
        settings: Settings,
        clock_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._clock_s = clock_s
        self._sleep = sleep
        self._reader = ChangeReader(store, list(project.views))
        self._sender = RefreshSender(queue, settings.max_refresh_tasks, Allowance(settings.refresh_keys_per_s))
        self._pending = PendingRefreshes(settings.coalesce_ms / 1000)
        self._receipts = Receipts()
        self._planning = Planning(store, project, settings, clock_s())
        self.counts = RefreshCounts()
        self._replan_s = self._roll_call_s = 0.0
        self._has_joined = False

    def join(self) -> None:
        """From now on no change is missed. Raises StoreUnavailable."""
        if not self._has_joined:
            self._reader.join()
            self._has_joined = True

    def turn(self) -> None:
        """One read, and whatever is due after it. Raises StoreUnavailable; the next turn takes up where it was."""
        self._look_around(self._clock_s())
        wait_ms = self._wait()
        deliveries = [] if self._receipts.is_full else self._reader.read(wait_ms, now_ms())
        self._take(deliveries)
        now_s = self._clock_s()
        if self._pending.due_in_s(now_s) == 0:
            self._queue(now_s)
        self._acknowledge()
        self._count()

    def leave(self) -> None:
        """Hands what is still owed to other refreshers."""
        try:
            self._reader.leave()
        except StoreUnavailable:
            # They will find out.
            return

    def _look_around(self, now_s: float) -> None:
        self.join()
        if now_s >= self._replan_s:
            self.counts.keys_per_s = self._sender.yield_to_others()
            self._planning.replan(self.counts.keys_per_s, self._pending.merged, now_s)
            self._replan_s = now_s + _REPLAN_EVERY_S
        if now_s >= self._roll_call_s:
            self._reader.show_alive()
            claimed = self._reader.claim(now_ms())
            self._take(claimed)
            count = sum(len(delivery.records) for delivery in claimed)
            self.counts.claimed += count
            tallies.add(self._store, claimed=count)
            is_more = any(len(delivery.records) >= READ_RECORDS for delivery in claimed)
            self._roll_call_s = now_s + (0.0 if is_more else _ROLL_CALL_EVERY_S)

    def _wait(self) -> int | None:
        """Waits until the window closes if something is pending; how long the read may block."""
        due_s = self._pending.due_in_s(self._clock_s())
        if due_s is None:
            return _BLOCK_MS
        # Not by a blocking read: an idle server looks at its clock ten times a second, so 50 ms would become 100.
        self._sleep(due_s)
        return None

    def _take(self, deliveries: Sequence[Delivery]) -> None:
        """Remembers what has to be done for these; first of all, so that nothing is acknowledged before it is done."""
        numbers = [self._receipts.add(delivery) for delivery in deliveries]
        now_s = self._clock_s()
        for number, delivery in zip(numbers, deliveries, strict=True):
            self.counts.changes += len(delivery.changes)
            self._pending.add(self._planning.dependents_of(delivery.changes, now_s), number, now_s)
        unreadable = [letter for delivery in deliveries for letter in delivery.unreadable]
        if unreadable:
            log.warning("set aside %d record(s) that name no entity; see nearcast dead list", len(unreadable))
            self.counts.unreadable += len(unreadable)
            dead_letters.add(self._store, *unreadable)
            tallies.add(self._store, unreadable=len(unreadable))

    def _queue(self, now_s: float) -> None:
        for model, keys in self._pending.chosen(self._sender.room(now_s)).items():
            for at in range(0, len(keys), REFRESH_KEYS):
                part = keys[at : at + REFRESH_KEYS]
                numbers = [self._pending.number(model, text) for text in part]
                since = {number: self._receipts.since_ms(number) for number in set(numbers)}
                rows = self._planning.rows_of(model)
                self._sender.send(model, part, [since[number] for number in numbers], rows=rows)
                self._pending.queued(model, part)
                self.counts.queued += len(part)
        self._pending.put_off(now_s)

    def _acknowledge(self) -> None:
        done = self._receipts.done(self._pending.oldest())
        self._reader.acknowledge(done)
        self._receipts.close(done)

    def _count(self) -> None:
        counts = self.counts
        counts.merged, counts.pending = self._pending.merged, len(self._pending)
        counts.unacknowledged = self._receipts.records
        counts.progress_ms = now_ms()


def run_refresher(settings: Settings, stop: threading.Event | None = None) -> None:
    """Follows the update logs until it is told to stop by SIGTERM or SIGINT. Any number of refreshers share the work.

    Args:
        stop: set by somebody else instead of by signals.

    Raises:
        ConfigError: the project file is wrong, or Redis is too old or refuses us.
        StoreUnavailable: Redis cannot be reached at the start; lost later, it is waited for.
    """
    stop = stop or stop_on_signals()
    project = manifest.load(settings.project)
    check_servers(settings)
    store = Store(settings.primary_url, timeout_s=settings.redis_timeout_s)
    tracing = open_tracing("refresher", os.environ) or OFF
    queue = open_queue(settings, tracing)
    refresher = Refresher(store, project, queue, settings)
    refresher.join()
    counts = refresher.counts
    pulse = lambda: Pulse(counts.progress_ms, counts.queued)  # noqa: E731
    with (
        exported(settings, new_registry("refresher", RefreshCollector(counts))),
        beating(settings, "refresher", pulse),
    ):
        log.info("following the update logs of %d view(s)", len(project.views))
        _follow(refresher, stop)
    refresher.leave()
    queue.close()
    tracing.close()
    store.close()
    log.info("stopped")


def _follow(refresher: Refresher, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            refresher.turn()
        except StoreUnavailable as error:
            log.warning("waiting for Redis: %s", error)
            stop.wait(_PAUSE_S)
