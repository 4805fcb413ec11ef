"""Says every few seconds, from a thread of its own, that this process is there, and how it gets on."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from precompute import role_notes
from precompute.errors import NearcastError
from precompute.role_notes import QueueNote, RoleName, RoleNote
from precompute.settings import Settings
from precompute.store import Store, checked
from workers.chunks import now_ms

log = logging.getLogger(__name__)

EVERY_S = 2.0
#: A rate is that of so many beats.
_RATED = 5


@dataclass(frozen=True, slots=True)
class Pulse:
    """How a process gets on.

    Attributes:
        progress_ms: when it last did; 0 if it has not yet.
        rows: computed so far.
        leads: whether it is a scheduler that leads.
    """

    progress_ms: int = 0
    rows: int = 0
    leads: bool = False
    queues: Sequence[QueueNote] = ()


class Beat:
    """Turns what is felt now and then into notes."""

    def __init__(self, feel: Callable[[], Pulse], clock_ms: Callable[[], int] = now_ms) -> None:
        self._feel = feel
        self._clock_ms = clock_ms
        self._leads_since_ms: int | None = None
        self._rows: deque[tuple[int, int]] = deque(maxlen=_RATED + 1)

    def note(self) -> RoleNote:
        """What to say now."""
        now, pulse = self._clock_ms(), self._feel()
        self._leads_since_ms = (self._leads_since_ms or now) if pulse.leads else None
        self._rows.append((now, pulse.rows))
        (then, before), took_ms = self._rows[0], now - self._rows[0][0]
        return RoleNote(
            at_ms=now,
            progress_ms=pulse.progress_ms or None,
            rows_per_s=(pulse.rows - before) * 1000 / took_ms if now > then else 0.0,
            leads_since_ms=self._leads_since_ms,
            queues=tuple(pulse.queues),
        )


@contextlib.contextmanager
def beating(settings: Settings, role: str, feel: Callable[[], Pulse]) -> Iterator[None]:
    """Says so as long as the block lasts; a store that is away is not told."""
    who = RoleName(role, f"{socket.gethostname()}-{os.getpid()}")
    store = Store(settings.primary_url, timeout_s=settings.redis_timeout_s, connections=1)
    over, beat = threading.Event(), Beat(feel)

    def run() -> None:
        while True:
            with contextlib.suppress(NearcastError):
                for reply in store.run(role_notes.write_commands(who, beat.note())):
                    checked(reply)
            if over.wait(EVERY_S):
                return

    thread = threading.Thread(target=run, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with contextlib.suppress(NearcastError):
            store.run(role_notes.forget_commands(who))
        store.close()
