"""The only place of the edge that wires: builds every part once and hands it to those who need it."""

from __future__ import annotations

import asyncio
import logging
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from edge.absent import SHARE
from edge.answer import Ladder
from edge.api.admin import INVALIDATE, Invalidate
from edge.api.guard import Guard
from edge.api.predict import PREFIX, Predict
from edge.api.why import WHY, Why
from edge.census import census, lags
from edge.damaged import Damaged
from edge.dashboard.board import Board
from edge.fetch import Fetch
from edge.follower import BLOCK_MS, Follower
from edge.held import Held
from edge.hit import HitDoor
from edge.hot import HotKeys
from edge.lane import LaneProtocol, lane_protocol
from edge.link import Link
from edge.live import Live
from edge.memory import Memory
from edge.metrics import MetricsPage
from edge.replica import Replica
from edge.serving import Serving
from edge.siblings import Siblings, Slot
from edge.stats import Stats
from edge.telemetry import Telemetry, node_name
from edge.tracing import TracedApp, traced_ladder, traced_lane
from edge.view_times import ViewTimes
from edge.warmth import Warmth
from edge.write_back import WriteBack
from precompute.keys import ORDERS
from precompute.manifest import Project
from precompute.predictor import Servable
from precompute.settings import Settings
from precompute.snapshot import Snapshot
from precompute.telemetry import Source
from precompute.tracing import Tracing

log = logging.getLogger(__name__)

#: A model file of 256 MB may take that long to arrive.
FILE_TIMEOUT_S = 60.0


def now_ms() -> int:
    """Wall clock, ms since 1970."""
    return time.time_ns() // 1_000_000


class Edge:
    """All parts of one edge process; `slot` is its place if it has siblings."""

    def __init__(
        self,
        project: Project,
        settings: Settings,
        slot: Slot | None = None,
        tracing: Tracing | None = None,
        *,
        port: int | None = None,
    ) -> None:
        """Builds them; `port` is what it listens on, where the settings do not say."""
        timeout_s = settings.redis_timeout_s
        self.settings = settings
        self.stats = Stats()
        self.memory: Memory[Held] = Memory(settings.memory_max_bytes * SHARE // (SHARE + 1))
        self._reads = Link(settings.read_url, timeout_s=timeout_s, name="nearcast-edge-read")
        # The follower's reads wait for news on purpose.
        self._logs = Link(settings.read_url, timeout_s=timeout_s + BLOCK_MS / 1000, name="nearcast-edge-follow")
        self._writes = Link(settings.primary_url, timeout_s=timeout_s, name="nearcast-edge-write")
        self._replica = Replica(self._reads)
        # Model files are large: whatever stood behind one would have to wait for it.
        self._files = Link(settings.read_url, timeout_s=max(timeout_s, FILE_TIMEOUT_S), name="nearcast-edge-load")
        self.serving = Serving(project, self._replica, Replica(self._files), self._switched)
        self.view_times = ViewTimes(project.views.values())
        self.follower = Follower(
            self._logs,
            [*project.views, ORDERS],
            self.serving.look,
            watch=self._reads,
            on_records=self.view_times.read,
        )
        self.write_back = WriteBack(self._writes, max_waiting=settings.max_write_backs)
        self.hot = HotKeys(list(project.models), self._writes, settings.hot_flush_s)
        self.damaged = Damaged(self._writes, now_ms)
        self._tracing = tracing
        self.ladder = (Ladder if tracing is None else traced_ladder(tracing))(
            self.memory,
            self._replica,
            self.follower.freshness,
            self.follower.lag_s,
            self.write_back,
            self.stats,
            now_ms,
            max_waiting=settings.max_waiting_keys,
            set_aside=self.damaged.offer,
        )
        self.warmth = Warmth(self.memory, self._replica, self.ladder.editions, settings.warm_keys, now_ms)
        #: Set once warm; unset when shutting down, so that a balancer looks elsewhere first.
        self.ready = False
        source = Source(node_name(settings, port or settings.port), slot.number if slot else 0)
        self.telemetry = Telemetry(self._writes, source, self.census, lambda: lags(self), now_ms)
        self.siblings = Siblings(slot, self.census, lambda: self.ready) if slot else None
        # What it reads is large and may be late, as model files may.
        self._board = Board(project, self._files, self._writes, settings, now_ms)
        self._opening: asyncio.Task[None] | None = None

    @property
    def live(self) -> Live[Held]:
        """Where predictions are computed on demand."""
        return self.ladder.live

    async def start(self) -> None:
        """Connects, loads the models, catches up with the logs, warms the memory, and is ready.

        Raises:
            StoreUnavailable: the replica cannot be reached. The primary may be away: edges do without it.
        """
        if self.siblings is not None:
            await self.siblings.open()
        await self._reads.open()
        await self._logs.open()
        await self._files.open()
        self._opening = asyncio.create_task(self._writes.open_eventually())
        self.follower.start()
        await self.serving.refresh()
        self.serving.start()
        await self.follower.caught_up()
        servables = self.serving.servables()
        loaded = await self.warmth.load(servables)
        self.hot.start()
        if self.settings.telemetry:
            self.telemetry.start()
        self.ready = True
        log.info("ready: %d model version(s), %d entries in memory", len(servables), loaded)

    def _switched(self, servable: Servable) -> None:
        self.warmth.begin(servable)

    def turn_away(self) -> None:
        """Whoever asks shall go elsewhere from now on; streams, which have no end of their own, end."""
        self.ready = False
        self._board.close()

    async def stop(self) -> None:
        """Stops taking part; what is under way is finished."""
        self.turn_away()
        await self.live.close()
        self.write_back.send()
        await self.hot.stop()
        await self.telemetry.stop()
        await self.serving.stop()
        await self.warmth.stop()
        await self.follower.stop()
        if self._opening is not None:
            self._opening.cancel()
        for link in (self._reads, self._logs, self._files, self._writes):
            await link.close()
        if self.siblings is not None:
            await self.siblings.close()

    def census(self) -> Snapshot:
        """What this process has counted."""
        return census(self)

    async def totals(self) -> Snapshot:
        """What the node has counted: this process and its siblings."""
        return await self.siblings.totals() if self.siblings is not None else self.census()

    def lane(self) -> type[LaneProtocol]:
        """What answers below HTTP routes."""
        hits = HitDoor(self.ladder, self.serving, self.stats, self.hot.counter)
        predict = Predict(self.ladder, self.serving, self.stats, self.settings, self.hot.count)
        fetch = Fetch(hits, self.ladder, self.serving, self.stats, predict, self.settings.budget_ms)
        app = Guard(predict)
        if self._tracing is None:
            return lane_protocol(hits.answer, app, fetch.begin)
        return traced_lane(lane_protocol(hits.answer, TracedApp(app, self._tracing)))

    def application(self) -> ASGIApp:
        """The HTTP doors."""
        why = Why(self.ladder, self.serving, self._replica, self.follower.freshness, self.follower.lag_s, now_ms)
        predict = Predict(self.ladder, self.serving, self.stats, self.settings, self.hot.count)
        metrics = MetricsPage(self.totals, list(self.serving.project.views.values()))
        routes = [
            Route(PREFIX + "{rest:path}", predict, methods=["GET", "HEAD", "POST"]),
            Route(INVALIDATE, Invalidate(self.serving.project, self._writes, self.settings, now_ms), methods=["POST"]),
            Route(WHY + "{rest:path}", why, methods=["GET"]),
            Route("/livez", self._live),
            Route("/readyz", self._ready),
            Route("/metrics", metrics, methods=["GET", "HEAD"]),
            *self._board.routes(),
        ]
        app = Guard(Router(routes, redirect_slashes=False))
        return app if self._tracing is None else TracedApp(app, self._tracing)

    async def _live(self, request: Request) -> Response:
        return JSONResponse({"live": True})

    async def _ready(self, request: Request) -> Response:
        body = {
            "ready": self.ready,
            "replica_connected": self._reads.is_connected,
            "primary_connected": self._writes.is_connected,
            "lag_s": round(self.follower.lag_s(), 3) if self.follower.lag_s() < 1e9 else None,
            "models": [
                {"model": s.model.name, "variant": s.variant, "version": s.version} for s in self.serving.servables()
            ],
            "failures": [
                {"model": model, "version": version, "reason": reason}
                for (model, version), reason in self.serving.failures.items()
            ],
        }
        return JSONResponse(body, 200 if self.ready else 503)
