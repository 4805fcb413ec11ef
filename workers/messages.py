"""Names of tasks and queues, and how much one message may ask for."""

from __future__ import annotations

PRECOMPUTE_TASK = "nearcast.precompute_chunk"
REFRESH_TASK = "nearcast.refresh"

#: Two queues, taken from in turn: a large job delays a refresh by one chunk at most.
PRECOMPUTE_QUEUE = "nearcast.precompute"
REFRESH_QUEUE = "nearcast.refresh"

#: Keys of one refresh task.
REFRESH_KEYS = 1000
