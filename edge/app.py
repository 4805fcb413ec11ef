"""Where an edge is wired: builds every part once and hands it to those who need it; `doors` says what is where."""

from __future__ import annotations

import logging
import time

from starlette.routing import Router
from starlette.types import ASGIApp

from edge.absent import SHARE
from edge.answer import Ladder
from edge.api.guard import Guard
from edge.auto import Auto
from edge.black_box import BlackBox
from edge.census import census, lags
from edge.damaged import Damaged
from edge.dashboard.board import Board
from edge.doors import doors, predict_door
from edge.experiments import Experiments
from edge.exposures import Exposures
from edge.fetch import Fetch
from edge.follower import Follower
from edge.held import Held
from edge.hit import HitDoor
from edge.hot import HotKeys
from edge.lane import LaneProtocol, lane_protocol
from edge.links import Links
from edge.live import Live
from edge.measured import Measured
from edge.memory import Memory
from edge.own_memory import give_back_large_pieces
from edge.probes import Probes
from edge.profiles import Profiles
from edge.replica import Replica
from edge.serving import Serving
from edge.siblings import Siblings, Slot
from edge.stats import Stats
from edge.telemetry import Telemetry, node_name
from edge.tier_lookup import TierLookup
from edge.tracing import TracedApp, traced_ladder, traced_lane
from edge.variant_notes import VariantNotes
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
        self.settings = settings
        self.stats = Stats()
        self.memory: Memory[Held] = Memory(settings.memory_max_bytes * SHARE // (SHARE + 1))
        self.links = Links(settings)
        self.replica = Replica(self.links.reads)
        self.node = node_name(settings, port or settings.port)
        self.serving = Serving(
            project,
            self.replica,
            Replica(self.links.files),
            self._switched,
            node=self.node,
            box=BlackBox(slot.directory / f"{slot.number}.runs") if slot else None,
            max_bytes=settings.model_memory_bytes,
        )
        self.exposures = Exposures(self.links.writes, max_waiting=settings.max_exposures, kept=settings.exposures_kept)
        self.experiments = Experiments(self.replica, self.serving, self.exposures, now_ms)
        self.view_times = ViewTimes(project.views.values())
        self.follower = Follower(
            self.links.logs,
            [*project.views, ORDERS],
            self._news,
            watch=self.links.reads,
            on_records=self.view_times.read,
        )
        self.write_back = WriteBack(self.links.writes, max_waiting=settings.max_write_backs)
        self.hot = HotKeys(list(project.models), self.links.writes, settings.hot_flush_s)
        self.damaged = Damaged(self.links.writes, now_ms)
        self._tracing = tracing
        self.ladder = self._ladder()
        self.warmth = Warmth(self.memory, self.replica, self.ladder.editions, settings.warm_keys, now_ms)
        #: Set once warm; unset when shutting down, so that a balancer looks elsewhere first.
        self.ready = False
        self.profiles = Profiles()
        self.measured = Measured(self.profiles, self.node, self.replica, self.links.writes, time.monotonic)
        self.probes = Probes(self.live, self.profiles)
        tiers = TierLookup(project.tiers, self.replica, self.serving.layouts)
        self.auto = Auto(self.ladder, self.serving, self.profiles, self.probes, tiers, settings.budget_ms)
        source = Source(self.node, slot.number if slot else 0)
        self.telemetry = Telemetry(self.links.writes, source, self.census, lambda: lags(self), now_ms)
        self.variant_notes = VariantNotes(
            self.serving, self.profiles, source, self.links.writes, now_ms, time.monotonic
        )
        self.siblings = Siblings(slot, self.census, lambda: self.ready) if slot else None
        # What it reads is large and may be late, as model files may.
        self.board = Board(project, self.links.files, self.links.writes, settings, now_ms)

    def _ladder(self) -> Ladder:
        kind = Ladder if self._tracing is None else traced_ladder(self._tracing)
        return kind(
            self.memory,
            self.replica,
            self.follower.freshness,
            self.follower.lag_s,
            self.write_back,
            self.stats,
            now_ms,
            max_waiting=self.settings.max_waiting_keys,
            set_aside=self.damaged.offer,
        )

    @property
    def live(self) -> Live[Held]:
        """Where predictions are computed on demand."""
        return self.ladder.live

    async def start(self) -> None:
        """Connects, loads the models, catches up with the logs, warms the memory, and is ready.

        Raises:
            StoreUnavailable: the replica cannot be reached. The primary may be away: edges do without it.
        """
        give_back_large_pieces()
        if self.siblings is not None:
            await self.siblings.open()
        await self.links.open()
        self.follower.start()
        await self.measured.load()
        # First of all: versions that they need are loaded with the others.
        await self.experiments.refresh()
        await self.serving.refresh()
        self.serving.start()
        self.experiments.start()
        await self.follower.caught_up()
        servables = self.serving.servables()
        loaded = await self.warmth.load(servables)
        self.hot.start()
        self.measured.start()
        if self.settings.telemetry:
            self.telemetry.start()
            self.variant_notes.start()
        self.ready = True
        log.info("ready: %d model version(s), %d entries in memory", len(servables), loaded)

    def _news(self) -> None:
        """The registry has changed."""
        self.serving.look()
        self.experiments.look()

    def _switched(self, servable: Servable) -> None:
        self.warmth.begin(servable)

    def turn_away(self) -> None:
        """Whoever asks shall go elsewhere from now on; streams, which have no end of their own, end."""
        self.ready = False
        self.board.close()

    async def stop(self) -> None:
        """Stops taking part; what is under way is finished."""
        self.turn_away()
        await self.probes.stop()
        await self.live.close()
        self.write_back.send()
        self.exposures.send()
        await self.hot.stop()
        self.exposures.send_counts()
        await self.measured.stop()
        await self.variant_notes.stop()
        await self.telemetry.stop()
        await self.experiments.stop()
        await self.serving.stop()
        await self.warmth.stop()
        await self.follower.stop()
        await self.links.close()
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
        predict = predict_door(self)
        fetch = Fetch(hits, self.ladder, self.serving, self.stats, predict, self.settings.budget_ms)
        app = Guard(predict)
        if self._tracing is None:
            return lane_protocol(hits, app, fetch.begin)
        return traced_lane(lane_protocol(hits, TracedApp(app, self._tracing)))

    def application(self) -> ASGIApp:
        """The HTTP doors."""
        app = Guard(Router(doors(self, now_ms), redirect_slashes=False))
        return app if self._tracing is None else TracedApp(app, self._tracing)
