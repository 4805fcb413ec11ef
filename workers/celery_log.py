"""What Celery says, in single lines and only where it says something new."""

from __future__ import annotations

import logging
import warnings

from celery.exceptions import CPendingDeprecationWarning
from celery.signals import setup_logging, worker_ready

#: These report every task at INFO, or what we say ourselves; here a task is a thousand keys, and jobs have progress.
_CHATTY = ("celery.worker.strategy", "celery.app.trace", "celery.apps.worker", "celery.bootsteps", "kombu")
#: These spread over many lines, with tracebacks of a broker that is away.
_WORDY = ("celery.worker", "celery.worker.consumer.consumer", "celery.bootsteps", "kombu.asynchronous.hub")


def quieten() -> None:
    """To be called before a worker is built."""
    # It warns root about pickle, which is refused here; containers run as root.
    warnings.filterwarnings("ignore", message="(?s).*superuser privileges")
    # A receiver of this signal keeps Celery from setting logging up anew.
    setup_logging.connect(_quieten_loggers, weak=False)
    worker_ready.connect(_quieten_advice, weak=False)


def _quieten_loggers(**_: object) -> None:
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _WORDY:
        logging.getLogger(name).addFilter(_on_one_line)


def _quieten_advice(**_: object) -> None:
    # It recommends to cancel tasks when the broker is lost; ours are short, and counted once anyhow. Its own filter,
    # which shows this always, is set while the worker starts.
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)


def _on_one_line(record: logging.LogRecord) -> bool:
    record.msg = " ".join(record.getMessage().split())
    record.args = None
    record.exc_info = None
    return True
