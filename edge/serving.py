"""What this edge serves: the active versions of all models, following the registry.

A version that takes another one's place is loaded before it does, because loading takes seconds and moving a pointer
must not. So two more versions of each variant are kept ready: the one that a rollback would bring back, and its newest
publish, which may be about to be rolled out. A pointer that moves to one of them is followed at once; otherwise the
version before goes on answering until the new one is loaded.

Where there is not room for all models, those asked for most are loaded when an edge starts, the others when somebody
needs them: what was computed before is answered without.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from edge.background import Background
from edge.black_box import BlackBox
from edge.catalogue import Catalogue, Loadable
from edge.loads import Loads
from edge.model_files import ModelFiles
from edge.pointers import Pointers, standby
from edge.replica import Replica
from edge.residents import Newcomer, to_warm
from edge.roster import Roster
from edge.runs import Runs
from edge.sleeper import Sleeper
from precompute.errors import NearcastError
from precompute.layouts import Layouts
from precompute.manifest import Project
from precompute.predictor import Servable
from precompute.registry import Version
from precompute.settings import MIB

log = logging.getLogger(__name__)

#: The registry is looked at again this often, even if its log is silent.
LOOK_AGAIN_S = 5.0
#: Share of the memory for models that is filled before an edge says that it is ready.
_WARM = 0.9


class Serving(Roster):
    """Predictors by model and variant; a version that does not load leaves the one before in place."""

    def __init__(
        self,
        project: Project,
        replica: Replica,
        files: Replica | None = None,
        on_switch: Callable[[Servable], None] = lambda servable: None,
        *,
        node: str = "",
        box: BlackBox | None = None,
        max_bytes: int = 2048 * MIB,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begins with nothing.

        Args:
            files: another connection for model files, behind which nothing urgent waits.
            on_switch: told of a version that takes another one's place.
            node: whose service models may be taken out of.
            box: says what the processes before this one died with.
            max_bytes: memory for loaded models.
        """
        self.layouts = Layouts(project)
        self.runs = Runs(box)
        fetch = ModelFiles(project, files or replica, self.layouts, self.runs).fetch
        catalogue = Catalogue(project, replica, self.layouts, node)
        super().__init__(project, catalogue, Loads(fetch, self.sleepers, max_bytes, clock_s))
        self._on_switch = on_switch
        self._clock_s = clock_s
        self._news = asyncio.Event()
        self._background = Background()
        #: Versions that experiments need.
        self._pinned: frozenset[Loadable] = frozenset()

    def experiment_on(self, models: frozenset[str], versions: frozenset[Loadable]) -> None:
        """From now on requests of these models are answered by different versions, these among them."""
        if models != self._experimented:
            self._experimented = models
            self.generation += 1
        if versions != self._pinned:
            self._pinned = versions
            self.look()

    def _pins(self) -> frozenset[Loadable]:
        """Versions that experiments need, as far as their models are served."""
        return frozenset(pinned for pinned in self._pinned if pinned[0] not in self.withdrawn)

    def look(self) -> None:
        """The registry has changed: look again soon."""
        self._news.set()

    def start(self) -> None:
        """Follows the registry until `stop`."""
        self.runs.start()
        self._background.begin(self._run())

    async def stop(self) -> None:
        """Stops following."""
        await self._background.end()
        await self.loads.stop()
        self.runs.stop()

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            try:
                await self._follow()
            except NearcastError as error:
                log.warning("cannot read the registry: %s", error)

    async def refresh(self) -> None:
        """Serves what is active, once that is loaded for which there is room, and drops what no longer is.

        Raises:
            StoreUnavailable: the replica cannot be asked; everything stays as it was.
        """
        await asyncio.gather(*await self._follow())
        await self._follow()

    async def _follow(self) -> list[asyncio.Task[None]]:
        """Moves the pointers to what is loaded, and begins to load the rest; the loads of what is active."""
        found, records = await self._catalogue.read(self._pinned)
        urgent, first = list[asyncio.Task[None]](), list[tuple[float, Sleeper]]()
        for model, pointers in found.items():
            for variant, version in pointers.active.items():
                record = records.get((model, version))
                if record is None:
                    self.loads.failures[model, version] = f"model {model!r} has no record of version {version}"
                elif self._serve(variant, self._sleeper(model, record), urgent):
                    first.append((pointers.rate_per_s, self._predictors[model, variant]))
        urgent += self._warm(first)
        urgent += self._begin_pinned(records)
        wanted = {(model, variant) for model, pointers in found.items() for variant in pointers.active}
        for gone in self._predictors.keys() - wanted:
            self._drop_unless_kept(self._predictors.pop(gone))
            self.generation += 1
        self._keep_ready(found, records)
        return urgent

    def _sleeper(self, model: str, record: Version) -> Sleeper:
        sleeper = self._sleepers.get((model, record.version))
        if sleeper is None:
            begin = partial(self.loads.begin, urgent=True)
            declared = self.project.model(model)
            sleeper = Sleeper(self.project, record, declared, begin, self.runs, self._clock_s)
            self._sleepers[model, record.version] = sleeper
        return sleeper

    def _serve(self, variant: str, sleeper: Sleeper, urgent: list[asyncio.Task[None]]) -> bool:
        """Moves one pointer, or begins to load where it points; whether it is the first one there."""
        model, version = sleeper.name
        current = self._predictors.get((model, variant))
        if current is sleeper:
            return False
        if current is not None and sleeper.awake is None:
            if not sleeper.is_out():
                sleeper.wanted = True
                urgent.append(self._begin(sleeper, urgent=True))
            return False
        self._predictors[model, variant] = sleeper
        self.generation += 1
        sleeper.wanted = False
        if current is not None:
            self._drop_unless_kept(current)
        log.info("serving %s version %d (variant %s)", model, version, variant)
        if current is not None:
            self._on_switch(sleeper.servable)
        return current is None

    def _drop_unless_kept(self, sleeper: Sleeper) -> None:
        if self._sleepers.get(sleeper.name) is not sleeper:
            self.loads.drop(sleeper)

    def _warm(self, first: Iterable[tuple[float, Sleeper]]) -> list[asyncio.Task[None]]:
        """Begins to load what serves for the first time, as far as there is room."""
        room_bytes = int(self.loads.max_bytes * _WARM) - self.loads.bytes
        newcomers = [
            Newcomer(sleeper, sleeper.loaded_bytes, rate_per_s, sleeper.is_default) for rate_per_s, sleeper in first
        ]
        return [self._begin(sleeper, urgent=True) for sleeper in to_warm(newcomers, room_bytes)]

    def _begin_pinned(self, records: Mapping[Loadable, Version]) -> list[asyncio.Task[None]]:
        """Begins to load what experiments need and was never loaded."""
        pinned = [self._sleeper(pin[0], records[pin]) for pin in self._pins() if pin in records]
        return [self._begin(s, urgent=True) for s in pinned if not s.was_awake and not s.is_out()]

    def _keep_ready(self, found: Mapping[str, Pointers], records: Mapping[Loadable, Version]) -> None:
        """Begins to load what may soon be wanted, and lets go of the rest."""
        keep = {(model, version) for model, pointers in found.items() for version in pointers.active.values()}
        keep |= self._pins()
        for model, pointers in found.items():
            latest = [records[model, number] for number in pointers.latest() if (model, number) in records]
            for version in standby(pointers, latest):
                keep.add((model, version))
                record = records.get((model, version))
                if record is not None and (model, version) not in self.failures:
                    sleeper = self._sleeper(model, record)
                    if sleeper.awake is None:
                        self._begin(sleeper, urgent=False)
        serving = {*self._predictors.values()}
        for old in self._sleepers.keys() - keep:
            sleeper = self._sleepers.pop(old)
            if sleeper not in serving:
                self.loads.drop(sleeper)
        self.loads.keep_failures(keep)

    def _begin(self, sleeper: Sleeper, *, urgent: bool) -> asyncio.Task[None]:
        task = self.loads.begin(sleeper, urgent=urgent)
        task.add_done_callback(lambda _: self.look() if sleeper.awake is not None else None)
        return task
