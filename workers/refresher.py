"""The refresher process: when a feature changes, the hot predictions behind it are recomputed before anyone asks.

1. Read what changed.
2. Find the hot keys that depend on it, in an index in memory.
3. Let them wait a moment, so that changes which come together cost one computation.
4. Queue them for the workers, the hottest first, as many as there is room for.

Nothing here decides whether an answer is fresh; a refresh that is late or lost costs a computation at the edge.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from precompute import hotkeys, manifest
from precompute.errors import StoreUnavailable
from precompute.manifest import Project
from precompute.settings import Settings
from precompute.store import Store
from workers import tallies
from workers.allowance import Allowance
from workers.app import check_servers
from workers.change_reader import ChangeReader
from workers.dependents import Dependents
from workers.pending import PendingRefreshes
from workers.refresh_sender import RefreshSender
from workers.stopping import stop_on_signals
from workers.task_queue import RefreshQueue, open_queue

log = logging.getLogger(__name__)

#: How long one read may wait: a stop must not take longer.
_BLOCK_MS = 500
_REBUILD_EVERY_S = 3.0
_PAUSE_S = 1.0


class Refresher:
    """The four steps, on one thread."""

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
        self._project = project
        self._settings = settings
        self._clock_s = clock_s
        self._sleep = sleep
        self._reader = ChangeReader(store, list(project.views))
        self._sender = RefreshSender(queue, settings.max_refresh_tasks, Allowance(settings.refresh_keys_per_s))
        self._pending = PendingRefreshes(settings.coalesce_ms / 1000)
        self._dependents = Dependents()
        self._rebuild_s = 0.0
        self._merged = 0

    def turn(self) -> None:
        """One read, and whatever is due after it. Raises StoreUnavailable; the next turn takes up where it was."""
        now_s = self._clock_s()
        if now_s >= self._rebuild_s:
            self._rebuild()
            self._rebuild_s = now_s + _REBUILD_EVERY_S
        changes = self._reader.read(self._wait())
        now_s = self._clock_s()
        self._pending.add(self._dependents.of(changes), now_s)
        if self._pending.due_in_s(now_s) == 0:
            self._queue(now_s)

    def _wait(self) -> int | None:
        """Waits until the window closes if something is pending; how long the read may block."""
        due_s = self._pending.due_in_s(self._clock_s())
        if due_s is None:
            return _BLOCK_MS
        # Not by a blocking read: an idle server looks at its clock ten times a second, so 50 ms would become 100.
        self._sleep(due_s)
        return None

    def _queue(self, now_s: float) -> None:
        for model, keys in self._pending.take(self._sender.room(now_s), now_s).items():
            self._sender.send(model, keys)

    def _rebuild(self) -> None:
        """What is hot now; also where the counters are brought up to date, as it is seldom enough."""
        self._reader.align()
        count = self._settings.hot_keys
        hot = {name: hotkeys.top(self._store, name, count) for name in self._project.models}
        self._dependents.rebuild(hot, self._project.models)
        tallies.add(self._store, coalesced=self._pending.merged - self._merged)
        self._merged = self._pending.merged


def run_refresher(settings: Settings, stop: threading.Event | None = None) -> None:
    """Follows the update logs until it is told to stop by SIGTERM or SIGINT.

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
    queue = open_queue(settings)
    refresher = Refresher(store, project, queue, settings)
    log.info("following the update logs of %d view(s)", len(project.views))
    while not stop.is_set():
        try:
            refresher.turn()
        except StoreUnavailable as error:
            log.warning("waiting for Redis: %s", error)
            stop.wait(_PAUSE_S)
    queue.close()
    store.close()
    log.info("stopped")
