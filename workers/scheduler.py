"""The scheduler process: APScheduler in memory, at work only while this process leads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from precompute import manifest
from precompute.errors import StoreUnavailable, TransientError
from precompute.hotkeys import MergeRule
from precompute.keys import HEARTBEAT
from precompute.manifest import Project
from precompute.settings import Settings
from precompute.store import Store
from workers.allowance import Allowance
from workers.app import check_servers
from workers.chunks import now_ms
from workers.jobs import Jobs
from workers.leading import Contender
from workers.lease import Lease
from workers.refresh_sender import RefreshSender
from workers.stopping import stop_on_signals
from workers.task_queue import CeleryQueue, open_queue
from workers.upkeep import ExpiryRefresh, HotKeyMerging, JobMending

log = logging.getLogger(__name__)

LEASE = "scheduler"


def run_scheduler(settings: Settings, stop: threading.Event | None = None) -> None:
    """Looks after hot keys, expiring predictions and jobs until it is told to stop by SIGTERM or SIGINT.

    Any number of schedulers may run; one leads.

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
    contender = Contender(Lease(store, LEASE, int(settings.lease_ttl_s * 1000)), settings.lease_ttl_s)
    scheduler = _scheduled(settings, store, project, queue, contender)
    contender.start()
    scheduler.start()
    log.info("scheduling for %d model(s)", len(project.models))
    _beat(store, contender, settings.heartbeat_ms / 1000, stop)
    scheduler.shutdown()
    contender.stop()
    queue.close()
    store.close()
    log.info("stopped")


def _scheduled(
    settings: Settings, store: Store, project: Project, queue: CeleryQueue, contender: Contender
) -> BackgroundScheduler:
    """What is done how often; a look that takes too long is not begun a second time meanwhile."""
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(3)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        timezone=UTC,
    )
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    rule = MergeRule(half_life_s=settings.hot_half_life_s, keep=settings.hot_keys)
    sender = RefreshSender(queue, settings.max_refresh_tasks, Allowance(settings.refresh_keys_per_s))
    jobs = Jobs(store, project, queue, chunk_keys=settings.chunk_keys, keep_s=settings.job_keep_s)
    looks: list[tuple[Callable[[], None], float]] = [
        (HotKeyMerging(store, project, rule).look, settings.hot_flush_s),
        (ExpiryRefresh(store, project, sender, settings).look, settings.look_every_s),
        (JobMending(jobs).look, settings.look_every_s),
    ]
    for look, every_s in looks:
        scheduler.add_job(_led(look, contender), "interval", seconds=every_s)
    return scheduler


def _led(look: Callable[[], None], contender: Contender) -> Callable[[], None]:
    """A look that only the leader takes; a store that is away is looked at next time."""

    def take() -> None:
        if contender.fence is None:
            return
        try:
            look()
        except TransientError as error:
            log.warning("put off: %s", error)

    return take


def _beat(store: Store, contender: Contender, every_s: float, stop: threading.Event) -> None:
    """Shows edges how far behind their replica is; a missing beat is its own report."""
    while not stop.wait(every_s):
        if contender.fence is not None:
            with suppress(StoreUnavailable):
                store.call("SET", HEARTBEAT, now_ms())
