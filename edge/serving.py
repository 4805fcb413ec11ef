"""What this edge serves: the active versions of all models, loaded and warmed up, following the registry."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from edge.replica import Replica
from precompute.errors import InvalidRequest, NearcastError, VersionMissing
from precompute.keys import active_key, layout_key, versions_key
from precompute.layouts import Layouts
from precompute.manifest import Project
from precompute.predictor import Predictor, Servable
from precompute.registry import Version, load_commands, load_servable
from precompute.store import checked
from precompute.updates import parse_epoch

log = logging.getLogger(__name__)

#: The registry is looked at again this often, even if its log is silent.
LOOK_AGAIN_S = 5.0


class Serving:
    """Predictors by model and variant; a version that does not load leaves the one before in place."""

    def __init__(self, project: Project, replica: Replica) -> None:
        self.project = project
        self._replica = replica
        self._layouts = Layouts(project)
        self._predictors: dict[tuple[str, str], Predictor] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        #: Why a version could not be loaded, by model and version.
        self.failures: dict[tuple[str, int], str] = {}

    def predictor(self, model: str, variant: str | None = None) -> Predictor:
        """The predictor of a model's variant, by default the declared default one.

        Raises:
            UnknownModel: not in this project.
            InvalidRequest: the model has no such variant.
            VersionMissing: nothing is published for it.
        """
        declared = self.project.model(model)
        chosen = variant or declared.default_variant
        found = self._predictors.get((model, chosen))
        if found is None:
            if chosen not in declared.variants:
                raise InvalidRequest(
                    f"model {model!r} has no variant {chosen!r:.80}; it has: {', '.join(declared.variants)}"
                )
            raise VersionMissing(f"model {model!r}: nothing published for variant {chosen!r} yet")
        return found

    def default_version(self, model: str) -> int | None:
        """The version that answers requests which name no variant; None if there is none."""
        declared = self.project.models.get(model)
        found = self._predictors.get((model, declared.default_variant)) if declared else None
        return found.servable.version if found else None

    def servables(self) -> Sequence[Servable]:
        """Everything loaded."""
        return [p.servable for p in self._predictors.values()]

    def look(self) -> None:
        """The registry has changed: look again soon."""
        self._news.set()

    def start(self) -> None:
        """Follows the registry until `stop`."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stops following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            try:
                await self.refresh()
            except NearcastError as error:
                log.warning("cannot read the registry: %s", error)

    async def refresh(self) -> None:
        """Loads what has become active and drops what no longer is.

        Raises:
            StoreUnavailable: the replica cannot be asked; everything stays as it was.
        """
        await self._learn_layouts()
        models = list(self.project.models)
        info, *replies = await self._replica.run(
            [("INFO", "replication"), *(("HGETALL", active_key(model)) for model in models)]
        )
        parse_epoch(info)  # Refuses a replica that is still empty.
        wanted: set[tuple[str, str]] = set()
        for model, flat in zip(models, replies, strict=True):
            for variant, version in zip(checked(flat)[::2], checked(flat)[1::2], strict=True):
                wanted.add((model, variant.decode()))
                await self._serve(model, variant.decode(), int(version))
        for gone in self._predictors.keys() - wanted:
            del self._predictors[gone]

    async def _learn_layouts(self) -> None:
        views = list(self.project.views)
        for view, flat in zip(views, await self._replica.run([("HGETALL", layout_key(v)) for v in views]), strict=True):
            for number, text in zip(checked(flat)[::2], checked(flat)[1::2], strict=True):
                self._layouts.learn(view, int(number), text)

    async def _serve(self, model: str, variant: str, version: int) -> None:
        current = self._predictors.get((model, variant))
        if current is not None and current.servable.version == version:
            return
        try:
            servable = await self._load(model, version)
        except (NearcastError, msgspec.MsgspecError) as error:
            if self.failures.get((model, version)) != str(error):
                log.error("cannot serve %s version %d: %s", model, version, error)
            self.failures[model, version] = str(error)
            return
        self.failures.pop((model, version), None)
        self._predictors[model, variant] = Predictor(self.project, servable, self._layouts)
        log.info("serving %s version %d (variant %s)", model, version, variant)

    async def _load(self, model: str, version: int) -> Servable:
        (text,) = await self._replica.run([("HGET", versions_key(model), version)])
        if checked(text) is None:
            raise VersionMissing(f"model {model!r} has no record of version {version}")
        sha256 = msgspec.json.decode(text, type=Version).sha256
        record, blob = await self._replica.run(load_commands(model, version, sha256))
        # Loading optimises the graph, which may take seconds; others are being answered meanwhile.
        return await asyncio.to_thread(load_servable, self.project, model, checked(record), checked(blob))
