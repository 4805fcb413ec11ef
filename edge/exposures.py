"""Exposures go to the primary in batches on a timer; bounded, and dropped and counted when it is away.

A request never waits for them. What is dropped is missing from all arms alike, because whether there is room has
nothing to do with the arm.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from edge.assignment import Assigned, is_sampled
from edge.link import Link
from precompute.errors import NearcastError
from precompute.exposures import Exposure, answer_name, write_commands
from precompute.updates import Command, Reply

#: Exposures gather for so long: a batch costs the primary one wake-up, and nobody looks at them sooner.
GATHER_S = 0.1
#: Records that stay of each experiment, however many there are.
LEAST_KEPT = 1_000


class Exposures:
    """Sends exposures while there is room.

    Attributes:
        waiting: answers that gather, or whose batch has not been acknowledged.
        written, dropped: answers, recorded or only counted.
    """

    def __init__(self, primary: Link, *, max_waiting: int, kept: int) -> None:
        """Has nothing to send.

        Args:
            kept: records of all experiments that stay in their streams.
        """
        self._primary = primary
        self._max_waiting = max_waiting
        self._kept_of_all = self._kept = kept
        self._gathered: dict[str, list[Exposure]] = {}
        self._counted: dict[str, Counter[str]] = {}
        self._gathering = 0
        self.waiting = 0
        self.written = 0
        self.dropped = 0

    def share_among(self, experiments: int) -> None:
        """So many run from now on; each has its part of what may be kept."""
        self._kept = max(LEAST_KEPT, self._kept_of_all // max(1, experiments))

    def offer(self, assigned: Assigned, key: str, version: int, tier: str, took_s: float, at_ms: int) -> None:
        """Takes one answer if there is room; counts it as dropped if not."""
        if self.waiting >= self._max_waiting:
            self.dropped += 1
            return
        if not self._gathering:
            asyncio.get_running_loop().call_later(GATHER_S, self.send)
        self._gathering += 1
        self.waiting += 1
        experiment, arm, unit, override = assigned.experiment, assigned.arm, assigned.unit, assigned.is_override
        if override or is_sampled(experiment, unit.encode()):
            exposure = Exposure(at_ms, arm.name, unit, key, version, tier, round(took_s * 1e6), assigned.plan, override)
            self._gathered.setdefault(experiment.name, []).append(exposure)
        else:
            counts = self._counted.setdefault(experiment.name, Counter())
            counts[answer_name(arm.name, tier, override=False)] += 1

    def send(self) -> None:
        """Sends what has gathered; it is dropped if there is no connection."""
        gathered, counted, count = self._gathered, self._counted, self._gathering
        self._gathered, self._counted, self._gathering = {}, {}, 0
        if not count:
            return
        commands: list[Command] = []
        for name in {**gathered, **counted}:
            commands += write_commands(name, gathered.get(name, ()), counted.get(name, Counter()), self._kept)
        try:
            sent = self._primary.run(commands)
        except NearcastError:
            self.waiting -= count
            self.dropped += count
            return
        sent.add_done_callback(lambda done: self._settled(count, done))

    def _settled(self, count: int, done: asyncio.Future[list[Reply]]) -> None:
        self.waiting -= count
        failed = done.cancelled() or done.exception() is not None
        if failed or any(isinstance(reply, Exception) for reply in done.result()):
            self.dropped += count
        else:
            self.written += count
