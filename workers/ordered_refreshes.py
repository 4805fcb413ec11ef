"""Hands on to the workers what edges were told to have recomputed; edges know the primary, but no broker."""

from __future__ import annotations

import time
from collections.abc import Callable

from precompute import orders
from precompute.manifest import Project
from precompute.store import Store
from workers.refresh_sender import RefreshSender


class OrderedRefreshes:
    """Takes wishes as long as there is room for one."""

    def __init__(
        self, store: Store, project: Project, sender: RefreshSender, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._project = project
        self._sender = sender
        self._clock_s = clock_s

    def look(self) -> None:
        """Queues what waits. Raises StoreUnavailable."""
        while (room := self._sender.room(self._clock_s())) > 0:
            wish = orders.take_refresh(self._store)
            if wish is None:
                return
            model, keys = wish
            if model in self._project.models:
                self._sender.send(model, keys[:room])
                if keys[room:]:
                    orders.put_back(self._store, model, keys[room:])
