"""The worker process: a Celery worker whose tasks share one workplace per process."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Iterator
from types import FrameType

from billiard.process import current_process
from celery import Celery
from celery.signals import worker_process_init, worker_ready
from celery.worker import state

from precompute import manifest
from precompute.errors import StoreUnavailable
from precompute.settings import Settings
from precompute.store import Store, display_url
from precompute.tracing import OFF, open_tracing
from workers.broker import build_app
from workers.celery_log import quieten
from workers.exporter import exported, new_registry
from workers.messages import QUEUE_OF, REFRESH_QUEUE
from workers.orphans import die_with_parent
from workers.role_beat import Pulse, beating
from workers.tasks import register
from workers.work_counts import WorkCounts
from workers.work_metrics import WorkCollector
from workers.workplace import PerProcess, open_workplace

log = logging.getLogger(__name__)


def run_worker(settings: Settings, concurrency: int = 1) -> None:
    """Takes tasks until it is told to stop by SIGTERM or SIGINT; the task at hand is finished first.

    Args:
        concurrency: processes that compute; one computes in this process, without the cost of handing over.

    Raises:
        ConfigError: the project file is wrong, or Redis is too old or refuses us.
        StoreUnavailable: Redis cannot be reached, or was lost for too long.
    """
    project = manifest.load(settings.project)
    check_servers(settings)
    counts = WorkCounts(project.models, concurrency)
    app = build_app(settings)
    tracing = open_tracing("worker", os.environ) or OFF
    workplace = PerProcess(lambda: open_workplace(settings, project, counts))
    register(app, workplace, settings.job_keep_s, tracing)
    registry = new_registry("worker", WorkCollector(counts, list(project.models)))
    pulse = lambda: Pulse(counts.progress_ms, counts.computed)  # noqa: E731
    with exported(settings, registry), _counted_by(counts), beating(settings, "worker", pulse):
        _serve(app, settings, concurrency)
    tracing.close()


def check_servers(settings: Settings) -> None:
    """Refuses to start without a primary and a broker; raises as `run_worker` does."""
    for url in (settings.primary_url, settings.queue_url):
        store = Store(url, timeout_s=settings.redis_timeout_s, connect_timeout_s=settings.redis_timeout_s)
        try:
            store.check_version()
        finally:
            store.close()


@contextlib.contextmanager
def _counted_by(counts: WorkCounts) -> Iterator[None]:
    """Processes that compute count in rows of their own."""

    def take_row(**_: object) -> None:
        # Sent where this process computes, too, and only those of a pool are numbered.
        counts.take_row(getattr(current_process(), "index", 0))

    worker_process_init.connect(take_row, weak=False)
    try:
        yield
    finally:
        worker_process_init.disconnect(take_row)


def _serve(app: Celery, settings: Settings, concurrency: int) -> None:
    quieten()
    worker_ready.connect(_ready, weak=False)
    worker_process_init.connect(_child_started, weak=False)
    worker = app.Worker(
        pool="solo" if concurrency == 1 else "prefork",
        concurrency=concurrency,
        queues=[REFRESH_QUEUE, *QUEUE_OF.values()],
        quiet=True,
        optimization="fair",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    if worker.exitcode:
        raise StoreUnavailable(f"the worker lost its queue at {display_url(settings.queue_url)}")
    log.info("stopped")


def _ready(**_: object) -> None:
    # Celery's own handlers talk to the terminal, end with status 1 on Ctrl-C, and start the process anew on SIGHUP.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    log.info("ready for tasks")


def _stop(number: int, _: FrameType | None) -> None:
    state.should_stop = 0
    # Whoever asks twice does not want to wait for the task at hand.
    signal.signal(number, signal.SIG_DFL)


def _child_started(**_: object) -> None:
    die_with_parent()
