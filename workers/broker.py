"""The Celery application: JSON only, acknowledged late, one task at a time, no results, no ETA.

A message says only what to do; everything about it that matters is in Redis. So it may be lost, repeated or late:
lost chunks are queued again by whoever watches the job, repeated ones are counted once.
"""

from __future__ import annotations

from celery import Celery
from kombu import Queue

from precompute.settings import Settings
from workers.messages import PRECOMPUTE_QUEUE, PRECOMPUTE_TASK, QUEUE_OF, REFRESH_QUEUE, REFRESH_TASK
from workers.queue_order import QueueOrder

#: With Celery's pauses of 2, 4, 6... s between them, most of a minute; then the worker ends, and whoever supervises
#: it starts a new one. A worker that reconnects without end has been seen to stop taking tasks.
MAX_RECONNECTS = 6


def build_app(settings: Settings) -> Celery:
    """An application without tasks, enough for sending them by name."""
    app = Celery("nearcast", broker=settings.queue_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        event_serializer="json",
        result_backend=None,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_send_task_events=False,
        task_queues=[Queue(name) for name in (REFRESH_QUEUE, *QUEUE_OF.values())],
        task_default_queue=PRECOMPUTE_QUEUE,
        task_routes={PRECOMPUTE_TASK: PRECOMPUTE_QUEUE, REFRESH_TASK: REFRESH_QUEUE},
        task_publish_retry_policy={"max_retries": 3, "interval_start": 0.1, "interval_step": 0.3, "interval_max": 1.0},
        broker_connection_retry_on_startup=False,
        broker_connection_max_retries=MAX_RECONNECTS,
        broker_connection_timeout=settings.redis_timeout_s,
        broker_transport_options=_transport(settings),
    )
    return app


def _transport(settings: Settings) -> dict[str, object]:
    return {
        "visibility_timeout": settings.task_timeout_s,
        "queue_order_strategy": QueueOrder,
        "socket_connect_timeout": settings.redis_timeout_s,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "max_retries": 3,
        "interval_start": 0.1,
        "interval_step": 0.3,
        "interval_max": 1.0,
    }
