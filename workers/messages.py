"""Names of tasks and queues, and how much one message may ask for."""

from __future__ import annotations

from collections.abc import Mapping

from precompute.schedules import Priority

PRECOMPUTE_TASK = "nearcast.precompute_chunk"
REFRESH_TASK = "nearcast.refresh"

#: Header of every message: when it was sent, in ms since 1970.
SENT_MS = "sent_ms"

#: Taken from in turn: a large job delays a refresh by one chunk at most.
PRECOMPUTE_QUEUE = "nearcast.precompute"
REFRESH_QUEUE = "nearcast.refresh"
#: Taken from before these, and after them.
URGENT_QUEUE = "nearcast.precompute.high"
IDLE_QUEUE = "nearcast.precompute.low"

QUEUE_OF: Mapping[Priority, str] = {"high": URGENT_QUEUE, "normal": PRECOMPUTE_QUEUE, "low": IDLE_QUEUE}

#: Keys of one refresh task.
REFRESH_KEYS = 1000
