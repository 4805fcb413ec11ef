"""What this edge serves: the active versions of all models, loaded and warmed up, following the registry.

Loading takes seconds, moving a pointer must not. So two more versions of each variant are kept ready: the one that a
rollback would bring back, and its newest publish, which may be about to be rolled out. A pointer that moves to one of
them is followed at once; otherwise the version before goes on answering until the new one is loaded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec

from edge.pointers import NO_POINTERS, Pointers, pointer_commands, standby
from edge.replica import Replica
from precompute.errors import InvalidRequest, NearcastError, PermanentError, UnknownVersion, VersionMissing, Withdrawn
from precompute.keys import layout_key, versions_key
from precompute.layouts import Layouts
from precompute.manifest import Project
from precompute.predictor import Predictor, Servable
from precompute.registry import Version, load_commands, load_servable
from precompute.store import checked
from precompute.updates import parse_epoch
from precompute.withdrawals import parse_withdrawn, withdrawn_command

log = logging.getLogger(__name__)

#: The registry is looked at again this often, even if its log is silent.
LOOK_AGAIN_S = 5.0
#: A version of a model.
Loadable = tuple[str, int]


class Serving:
    """Predictors by model and variant; a version that does not load leaves the one before in place."""

    def __init__(
        self,
        project: Project,
        replica: Replica,
        files: Replica | None = None,
        on_switch: Callable[[Servable], None] = lambda servable: None,
        *,
        node: str = "",
    ) -> None:
        """Begins with nothing.

        Args:
            files: another connection for model files, behind which nothing urgent waits.
            on_switch: told of a version that takes another one's place.
            node: whose service models may be taken out of.
        """
        self.project = project
        self._replica = replica
        self._files = files or replica
        self._on_switch = on_switch
        self.layouts = Layouts(project)
        self._node = node
        self._predictors: dict[tuple[str, str], Predictor] = {}
        self._loaded: dict[Loadable, Predictor] = {}
        self._loading: dict[Loadable, asyncio.Task[None]] = {}
        #: One at a time: nobody waits for what is only kept ready.
        self._standby_turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        #: Why a version could not be loaded, by model and version.
        self.failures: dict[Loadable, str] = {}
        #: Models whose requests take part in experiments, and versions that those need.
        self._experimented: frozenset[str] = frozenset()
        self._pinned: frozenset[Loadable] = frozenset()
        #: Models that somebody has taken out of this node's service.
        self.withdrawn: frozenset[str] = frozenset()
        #: Counts up whenever another version serves, for those who keep what follows from it.
        self.generation = 0

    def predictor(self, model: str, variant: str | None = None) -> Predictor:
        """The predictor of a model's variant, by default the declared default one.

        Raises:
            UnknownModel: not in this project.
            InvalidRequest: the model has no such variant.
            VersionMissing: nothing is published for it.
            Withdrawn: somebody has taken the model out of service.
        """
        declared = self.project.model(model)
        chosen = variant or declared.default_variant
        found = self._predictors.get((model, chosen))
        if found is None:
            if chosen not in declared.variants:
                raise InvalidRequest(
                    f"model {model!r} has no variant {chosen!r:.80}; it has: {', '.join(declared.variants)}"
                )
            if model in self.withdrawn:
                raise Withdrawn(f"model {model!r} has been taken out of this node's service; load it to have it back")
            raise VersionMissing(f"model {model!r}: nothing published for variant {chosen!r} yet")
        return found

    def version(self, model: str, version: int) -> Predictor:
        """The predictor of a version that is ready: active, or kept so.

        Raises:
            UnknownModel, Withdrawn: as `predictor`.
            UnknownVersion: it is not; the text lists those that are.
        """
        self.project.model(model)
        found = self._loaded.get((model, version))
        if found is None:
            if model in self.withdrawn:
                self.predictor(model)
            ready = ", ".join(map(str, self.ready(model)))
            raise UnknownVersion(f"model {model!r}: version {version} is not ready here; ready: {ready or 'none'}")
        return found

    def default_version(self, model: str) -> int | None:
        """The version that answers requests which name no variant; None if there is none, or it is chosen anew."""
        declared = self.project.models.get(model)
        if declared is None or declared.is_routed or model in self._experimented:
            return None
        found = self._predictors.get((model, declared.default_variant))
        return found.servable.version if found else None

    def variants(self, model: str) -> list[Predictor]:
        """Those that answer for each variant of a model, as far as one is published; raises UnknownModel."""
        declared = self.project.model(model)
        found = [self._predictors.get((model, variant)) for variant in declared.variants]
        return [predictor for predictor in found if predictor is not None]

    def arm(self, model: str, variant: str | None, version: int | None) -> Predictor | None:
        """The predictor of an arm: of a variant, or else of a version that `experiment_on` has named; None if there is
        none yet."""
        if model in self.withdrawn:
            return None
        return self._predictors.get((model, variant)) if variant else self._loaded.get((model, version or 0))

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

    def servables(self) -> Sequence[Servable]:
        """Everything that answers."""
        return [p.servable for p in self._predictors.values()]

    def ready(self, model: str) -> list[int]:
        """Versions of a model that could answer at once, active ones included."""
        return sorted(version for name, version in self._loaded if name == model)

    def loading(self, model: str) -> list[int]:
        """Versions of a model that are being loaded."""
        return sorted(version for name, version in self._loading if name == model)

    def look(self) -> None:
        """The registry has changed: look again soon."""
        self._news.set()

    def start(self) -> None:
        """Follows the registry until `stop`."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stops following."""
        tasks = [*self._loading.values(), *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

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
        """Serves what is active, once it is loaded, and drops what no longer is.

        Raises:
            StoreUnavailable: the replica cannot be asked; everything stays as it was.
        """
        await asyncio.gather(*await self._follow())
        await self._follow()

    async def _follow(self) -> list[asyncio.Task[None]]:
        """Moves the pointers to what is loaded, and begins to load the rest; the loads of what is active."""
        found = await self._read()
        urgent = [
            task
            for model, pointers in found.items()
            for variant, version in pointers.active.items()
            if (task := self._serve(model, variant, version)) is not None
        ]
        urgent += [self._begin(*pinned, urgent=True) for pinned in self._pins() - self._loaded.keys()]
        wanted = {(model, variant) for model, pointers in found.items() for variant in pointers.active}
        for gone in self._predictors.keys() - wanted:
            del self._predictors[gone]
            self.generation += 1
        await self._keep_ready(found)
        return urgent

    async def _read(self) -> dict[str, Pointers]:
        models, views = list(self.project.models), list(self.project.views)
        replies = await self._replica.run(
            [
                ("INFO", "replication"),
                withdrawn_command(self._node),
                *(("HGETALL", layout_key(view)) for view in views),
                *(command for model in models for command in pointer_commands(model)),
            ]
        )
        parse_epoch(replies[0])  # Refuses a replica that is still empty.
        self.withdrawn = parse_withdrawn(replies[1])
        layouts, rest = replies[2 : 2 + len(views)], replies[2 + len(views) :]
        for view, flat in zip(views, layouts, strict=True):
            for number, text in zip(checked(flat)[::2], checked(flat)[1::2], strict=True):
                self.layouts.learn(view, int(number), text)
        found = {model: Pointers.parse(*rest[3 * i : 3 * i + 3]) for i, model in enumerate(models)}
        return {model: NO_POINTERS if model in self.withdrawn else pointers for model, pointers in found.items()}

    def _serve(self, model: str, variant: str, version: int) -> asyncio.Task[None] | None:
        """Moves one pointer, or begins to load where it points."""
        current, ready = self._predictors.get((model, variant)), self._loaded.get((model, version))
        if ready is None:
            return self._begin(model, version, urgent=True)
        if current is not ready:
            self._predictors[model, variant] = ready
            self.generation += 1
            log.info("serving %s version %d (variant %s)", model, version, variant)
            if current is not None:
                self._on_switch(ready.servable)
        return None

    async def _keep_ready(self, found: Mapping[str, Pointers]) -> None:
        """Begins to load what may soon be wanted, and lets go of the rest."""
        numbers = {model: pointers.latest() for model, pointers in found.items() if pointers.last}
        replies = await self._replica.run([("HMGET", versions_key(m), *latest) for m, latest in numbers.items()])
        keep = {(model, version) for model, pointers in found.items() for version in pointers.active.values()}
        keep |= self._pins()
        for model, reply in zip(numbers, replies, strict=True):
            records = [msgspec.json.decode(text, type=Version) for text in checked(reply) if text is not None]
            for version in standby(found[model], records):
                keep.add((model, version))
                if (model, version) not in self._loaded and (model, version) not in self.failures:
                    self._begin(model, version, urgent=False)
        for old in self._loaded.keys() - keep:
            del self._loaded[old]
        self.failures = {name: reason for name, reason in self.failures.items() if name in keep}

    def _begin(self, model: str, version: int, *, urgent: bool) -> asyncio.Task[None]:
        """The load of a version, which may be under way already."""
        task = self._loading.get((model, version))
        if task is None or task.done():
            task = asyncio.create_task(self._load(model, version, urgent=urgent))
            self._loading[model, version] = task
            task.add_done_callback(lambda done: self._end(model, version, done))
        return task

    def _end(self, model: str, version: int, done: asyncio.Task[None]) -> None:
        if self._loading.get((model, version)) is done:
            del self._loading[model, version]
        if (model, version) in self._loaded:
            self.look()

    async def _load(self, model: str, version: int, *, urgent: bool) -> None:
        try:
            if urgent:
                servable = await self._fetch(model, version)
            else:
                async with self._standby_turn:
                    servable = await self._fetch(model, version)
        except (NearcastError, msgspec.MsgspecError) as error:
            if self.failures.get((model, version)) != str(error):
                log.error("cannot serve %s version %d: %s", model, version, error)
            # What is only kept ready is not tried again if that is known to be of no use.
            if urgent or isinstance(error, PermanentError):
                self.failures[model, version] = str(error)
            return
        self.failures.pop((model, version), None)
        self._loaded[model, version] = Predictor(self.project, servable, self.layouts)
        if not urgent:
            log.info("%s version %d is ready", model, version)

    async def _fetch(self, model: str, version: int) -> Servable:
        (text,) = await self._files.run([("HGET", versions_key(model), version)])
        if checked(text) is None:
            raise VersionMissing(f"model {model!r} has no record of version {version}")
        sha256 = msgspec.json.decode(text, type=Version).sha256
        record, blob = await self._files.run(load_commands(model, version, sha256))
        # Loading optimises the graph, which may take seconds; others are being answered meanwhile.
        return await asyncio.to_thread(load_servable, self.project, model, checked(record), checked(blob))
