"""Writes what this process has counted to the primary, as `precompute.telemetry` says; dropped rather than waited for.

A bucket that could not be written is a gap for whoever looks: what was counted in it is not said later, when it would
look as if it had happened then.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from edge.background import Background
from edge.link import Link
from precompute.errors import NearcastError
from precompute.settings import Settings
from precompute.snapshot import Snapshot
from precompute.telemetry import COARSE, FINE, Source, Width, write_commands
from precompute.updates import Command, Reply

log = logging.getLogger(__name__)

#: Lag is looked at so often; of what was seen in a bucket, the largest is told.
_LOOK_MS = 500
#: Writes under way; as many seconds without a reply as a bucket has, times this.
_MOST_WAITING = 8


def node_name(settings: Settings, port: int) -> str:
    """What this node is called, wherever edges are listed."""
    return settings.edge_name or f"{socket.gethostname()}:{port}"


@dataclass(slots=True)
class _Bucket:
    """The bucket of one width that is being filled."""

    width: Width
    began_ms: int
    before: Snapshot
    peaks: Mapping[str, float]

    def close(self, counted: Snapshot, began_ms: int) -> Snapshot:
        """What has come in it; the next one begins."""
        since = replace(counted.since(self.before), peaks=self.peaks)
        self.began_ms, self.before, self.peaks = began_ms, counted.history(), {}
        return since


class Telemetry:
    """Writes in time with the wall clock.

    Attributes:
        written: buckets that the primary has taken.
        dropped: those that it has not.
    """

    def __init__(
        self,
        primary: Link,
        source: Source,
        census: Callable[[], Snapshot],
        lags: Callable[[], Mapping[str, float]],
        now_ms: Callable[[], int],
    ) -> None:
        self.source = source
        self._primary = primary
        self._census = census
        self._lags = lags
        self._now_ms = now_ms
        self._buckets: list[_Bucket] = []
        self._waiting: set[asyncio.Future[list[Reply]]] = set()
        self._background = Background()
        self.written = 0
        self.dropped = 0

    def start(self) -> None:
        """Writes until `stop`. What has been counted before belongs to the first bucket."""
        now = self._now_ms()
        self._buckets = [_Bucket(width, width.begin_ms(now), Snapshot(), {}) for width in (FINE, COARSE)]
        self._background.begin(self._run())

    async def stop(self) -> None:
        """Writes what is left, and waits for what is under way, which no reply keeps waiting for long."""
        if not await self._background.end():
            return
        now = self._now_ms()
        counted = self._census()
        for bucket in self._buckets:
            self._write(bucket, counted, bucket.width.begin_ms(now), now)
        if self._waiting:
            await asyncio.wait(self._waiting)

    async def _run(self) -> None:
        while True:
            now = self._now_ms()
            await asyncio.sleep((_LOOK_MS - now % _LOOK_MS + 1) / 1000)
            self.look(self._now_ms())

    def look(self, now_ms: int) -> None:
        """Looks at the lag, and closes the buckets that have ended."""
        lags, counted = self._lags(), None
        for bucket in self._buckets:
            began_ms = bucket.width.begin_ms(now_ms)
            if began_ms != bucket.began_ms:
                counted = counted or self._census()
                # After a pause, or if the clock was set, this is the bucket that ended last.
                self._write(bucket, counted, began_ms - bucket.width.ms, now_ms)
            bucket.peaks = {name: max(lag, bucket.peaks.get(name, 0.0)) for name, lag in lags.items()}

    def _write(self, bucket: _Bucket, counted: Snapshot, bucket_ms: int, now_ms: int) -> None:
        since = bucket.close(counted, bucket.width.begin_ms(now_ms))
        self._send(write_commands(self.source, bucket.width, bucket_ms, now_ms, since))

    def _send(self, commands: list[Command]) -> None:
        try:
            if not commands or len(self._waiting) >= _MOST_WAITING:
                self.dropped += 1
                return
            sent = self._primary.run(commands)
        except NearcastError:
            self.dropped += 1
            return
        self._waiting.add(sent)
        sent.add_done_callback(self._settled)

    def _settled(self, done: asyncio.Future[list[Reply]]) -> None:
        self._waiting.discard(done)
        failed = done.cancelled() or done.exception() is not None or isinstance(done.result()[0], Exception)
        if failed:
            self.dropped += 1
        else:
            self.written += 1
