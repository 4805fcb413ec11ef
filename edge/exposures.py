"""Exposures go to the primary in batches on a timer; bounded, and dropped and counted when it is away.

A request never waits for them. What is dropped is missing from all arms alike, because whether there is room has
nothing to do with the arm. How many answers there were is counted by itself and sent less often, sampled or not.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from edge.assignment import Assigned, is_sampled
from edge.link import Link
from precompute.errors import NearcastError
from precompute.exposures import Counted, Exposure, count_commands, record_command
from precompute.updates import Command, Reply

#: Records gather for so long: a batch costs the primary one wake-up, and nobody looks at them sooner.
GATHER_S = 0.1
#: So many go out at once: packing them takes the event loop 2 ms.
MOST_GATHERED = 1_000
#: How often counts are sent: some commands for each experiment, however many answers there were.
COUNT_S = 2.0
#: Records that stay of each experiment, however many there are.
LEAST_KEPT = 1_000


class Exposures:
    """Sends records and counts while there is room.

    Attributes:
        waiting: records that gather, or whose batch has not been acknowledged.
        written, dropped: records.
    """

    def __init__(self, primary: Link, *, max_waiting: int, kept: int) -> None:
        """Has nothing to send.

        Args:
            kept: records of all experiments that stay in their streams.
        """
        self._primary = primary
        self._max_waiting = max_waiting
        self._kept_of_all = self._kept = kept
        self._gathered: list[tuple[str, Exposure]] = []
        #: By experiment, since they were sent last: its answers, and its records that were acknowledged.
        self._answers: dict[str, dict[Counted, int]] = {}
        self._records: Counter[str] = Counter()
        self._count_at: asyncio.TimerHandle | None = None
        self.waiting = 0
        self.written = 0
        self.dropped = 0

    def share_among(self, experiments: int) -> None:
        """So many run from now on; each has its part of what may be kept."""
        self._kept = max(LEAST_KEPT, self._kept_of_all // max(1, experiments))

    def offer(self, assigned: Assigned, key: str, version: int, tier: str, took_s: float, at_ms: int) -> None:
        """Counts one answer, and takes its record if it is to have one and there is room."""
        name, arm, override = assigned.experiment.name, assigned.arm.name, assigned.is_override
        if self._count_at is None:
            self._count_soon()
        answers = self._answers.get(name)
        if answers is None:
            answers = self._answers[name] = {}
        what = arm, tier, override
        answers[what] = answers.get(what, 0) + 1
        if not override and assigned.experiment.sample < 1.0 and not is_sampled(assigned.experiment, assigned.unit):
            return
        if self.waiting >= self._max_waiting:
            self.dropped += 1
            return
        if not self._gathered:
            asyncio.get_running_loop().call_later(GATHER_S, self.send)
        self.waiting += 1
        took_us = round(took_s * 1e6)
        record = Exposure(at_ms, arm, assigned.unit, key, version, tier, took_us, assigned.plan, override)
        self._gathered.append((name, record))
        if len(self._gathered) >= MOST_GATHERED:
            self.send()

    def send(self) -> None:
        """Sends the records that have gathered; they are dropped if there is no connection."""
        gathered, self._gathered = self._gathered, []
        if not gathered:
            return
        try:
            sent = self._primary.run([record_command(name, record, self._kept) for name, record in gathered])
        except NearcastError:
            self.waiting -= len(gathered)
            self.dropped += len(gathered)
            return
        sent.add_done_callback(lambda done: self._settled(gathered, done))

    def _settled(self, sent: list[tuple[str, Exposure]], done: asyncio.Future[list[Reply]]) -> None:
        self.waiting -= len(sent)
        failed = done.cancelled() or done.exception() is not None
        replies = [None] * len(sent) if failed else done.result()
        stored = [name for (name, _), reply in zip(sent, replies, strict=True) if isinstance(reply, bytes)]
        self.written += len(stored)
        self.dropped += len(sent) - len(stored)
        self._records.update(stored)
        self._count_soon()

    def _count_soon(self) -> None:
        if self._count_at is None:
            self._count_at = asyncio.get_running_loop().call_later(COUNT_S, self.send_counts)

    def send_counts(self) -> None:
        """Sends the counts; without a connection they wait for the next time."""
        self._count_at = None
        commands: list[Command] = []
        for name in {**self._answers, **self._records}:
            commands += count_commands(name, self._answers.get(name, {}), self._records[name])
        if not commands:
            return
        try:
            # Whether they arrive is not asked for: were they sent again, they might be counted twice.
            self._primary.run(commands)
        except NearcastError:
            self._count_soon()
            return
        self._answers, self._records = {}, Counter()
