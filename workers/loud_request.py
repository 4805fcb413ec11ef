"""What Celery does about a task that cannot be acknowledged, because the broker is away."""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request


class LoudRequest(Request):  # type: ignore[misc]
    """A task whose failed acknowledgement is a lost connection, as any other failed command is.

    Celery's own logs it and goes on. The task then counts as being at work for ever, and a worker with as many of them
    as it may have at a time asks for no more: it never speaks to the broker again, so it never finds out that it has
    to connect anew. The message itself comes again, and what it asks for may be done twice.
    """

    def __init__(self, *args: Any, connection_errors: object = None, **rest: Any) -> None:
        # Those that an acknowledgement passes over.
        super().__init__(*args, connection_errors=(), **rest)
