"""The scheduler process: APScheduler in memory, at work only while this process leads."""

from __future__ import annotations

import logging
import os
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
from precompute.tracing import OFF, open_tracing
from workers.allowance import Allowance
from workers.app import check_servers
from workers.chunks import now_ms
from workers.exporter import exported, new_registry
from workers.jobs import Jobs
from workers.leading import Contender
from workers.lease import LEASE, Lease
from workers.ordered_refreshes import OrderedRefreshes
from workers.ordered_runs import OrderedRuns
from workers.queue_metrics import QueueCollector, queue_notes
from workers.refresh_sender import RefreshSender
from workers.role_beat import Pulse, beating
from workers.schedule_clock import ScheduleClock
from workers.schedule_metrics import LeadCollector, ScheduleMetrics
from workers.schedule_runner import ScheduleRunner
from workers.schedule_store import ScheduleStore
from workers.stopping import stop_on_signals
from workers.store_metrics import StoreCollector
from workers.task_queue import CeleryQueue, open_queue
from workers.upkeep import ExpiryRefresh, HotKeyMerging, JobMending

log = logging.getLogger(__name__)

#: A change of leaders takes a lease and a little; what is later by more than so many was missed.
GRACE_LEASES = 3
#: How often declared jobs are looked at beside their own times: a change of them is noticed by then.
DECLARED_EVERY_S = 0.5


def run_scheduler(settings: Settings, stop: threading.Event | None = None) -> None:
    """Runs declared jobs, and looks after hot keys, expiring predictions and jobs, until told to stop by a signal.

    Any number of schedulers may run; one leads.

    Args:
        stop: set by somebody else instead of by SIGTERM or SIGINT.

    Raises:
        ConfigError: the project file is wrong, or Redis is too old or refuses us.
        StoreUnavailable: Redis cannot be reached at the start; lost later, it is waited for.
    """
    stop = stop or stop_on_signals()
    project = manifest.load(settings.project)
    check_servers(settings)
    store = Store(settings.primary_url, timeout_s=settings.redis_timeout_s)
    tracing = open_tracing("scheduler", os.environ) or OFF
    queue = open_queue(settings, tracing)
    contender = Contender(Lease(store, LEASE, int(settings.lease_ttl_s * 1000)), settings.lease_ttl_s)
    jobs = Jobs(store, project, queue, chunk_keys=settings.chunk_keys, keep_s=settings.job_keep_s)
    broker = Store(settings.queue_url, timeout_s=settings.redis_timeout_s)
    registry = new_registry(
        "scheduler",
        LeadCollector(lambda: contender.fence),
        QueueCollector(store, broker),
        StoreCollector(store),
    )
    metrics = ScheduleMetrics(registry)
    scheduler = _scheduled(settings, store, project, queue, contender, jobs, metrics)
    runner = _add_declared_jobs(scheduler, settings, store, project, contender, jobs, metrics)
    with exported(settings, registry), beating(settings, "scheduler", lambda: _pulse(contender, broker)):
        contender.start()
        scheduler.start()
        log.info("scheduling for %d model(s)", len(project.models))
        _beat(store, contender, settings.heartbeat_ms / 1000, stop)
    runner.stop()
    scheduler.shutdown()
    contender.stop()
    queue.close()
    tracing.close()
    broker.close()
    store.close()
    log.info("stopped")


def _scheduled(
    settings: Settings,
    store: Store,
    project: Project,
    queue: CeleryQueue,
    contender: Contender,
    jobs: Jobs,
    metrics: ScheduleMetrics,
) -> BackgroundScheduler:
    """What is done how often; a look that takes too long is not begun a second time meanwhile."""
    scheduler = BackgroundScheduler(
        # A listing may take minutes, and must not keep anything else waiting.
        executors={
            "default": ThreadPoolExecutor(3),
            "declared": ThreadPoolExecutor(2),
            "listings": ThreadPoolExecutor(4),
        },
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        timezone=UTC,
    )
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    rule = MergeRule(half_life_s=settings.hot_half_life_s, keep=settings.hot_keys)
    sender = RefreshSender(queue, settings.max_refresh_tasks, Allowance(settings.refresh_keys_per_s))
    looks: list[tuple[Callable[[], None], float]] = [
        (HotKeyMerging(store, project, rule).look, settings.hot_flush_s),
        (ExpiryRefresh(store, project, sender, settings).look, settings.look_every_s),
        (OrderedRefreshes(store, project, sender).look, settings.look_every_s),
        (JobMending(jobs, lambda: contender.fence).look, settings.look_every_s),
    ]
    for look, every_s in looks:
        scheduler.add_job(_led(look, contender, metrics), "interval", seconds=every_s)
    return scheduler


def _add_declared_jobs(
    scheduler: BackgroundScheduler,
    settings: Settings,
    store: Store,
    project: Project,
    contender: Contender,
    jobs: Jobs,
    metrics: ScheduleMetrics,
) -> ScheduleRunner:
    """Has declared jobs looked at when they are due, and now and then."""

    def defer(action: Callable[[], None], name: str) -> None:
        scheduler.add_job(action, name=name, executor="listings")

    def look() -> None:
        try:
            runner.look()
        except TransientError as error:
            metrics.put_off()
            log.warning("not scheduling: %s", error)

    clock = ScheduleClock(scheduler, "declared", look)
    declared, directory = ScheduleStore(store, project), settings.project.absolute().parent
    runner = ScheduleRunner(
        store,
        declared,
        jobs,
        lambda: contender.fence,
        defer,
        grace_ms=int(GRACE_LEASES * settings.lease_ttl_s * 1000),
        directory=directory,
        sync=clock.sync,
        on_turn=metrics.turn,
    )
    ordered = _led(OrderedRuns(store, declared, jobs, directory, defer).look, contender, metrics)
    for often in (look, ordered):
        scheduler.add_job(often, "interval", seconds=DECLARED_EVERY_S, executor="declared")
    return runner


def _led(look: Callable[[], None], contender: Contender, metrics: ScheduleMetrics) -> Callable[[], None]:
    """A look that only the leader takes; a store that is away is looked at next time."""

    def take() -> None:
        if contender.fence is None:
            return
        try:
            look()
        except TransientError as error:
            metrics.put_off()
            log.warning("put off: %s", error)
        else:
            metrics.looked()

    return take


def _pulse(contender: Contender, broker: Store) -> Pulse:
    """What it says of itself; who leads looks at the queues as well."""
    leads = contender.fence is not None
    return Pulse(now_ms(), leads=leads, queues=queue_notes(broker, now_ms()) if leads else ())


def _beat(store: Store, contender: Contender, every_s: float, stop: threading.Event) -> None:
    """Shows edges how far behind their replica is; a missing beat is its own report."""
    while not stop.wait(every_s):
        if contender.fence is not None:
            with suppress(StoreUnavailable):
                store.call("SET", HEARTBEAT, now_ms())
