"""What a worker process needs to compute: the store, the project, and the versions it has loaded."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Callable

from precompute.errors import PermanentError, VersionMissing
from precompute.layouts import Layouts
from precompute.manifest import Project
from precompute.predictor import Predictor
from precompute.registry import Registry
from precompute.settings import Settings
from precompute.store import Store
from workers.warm_versions import WarmVersions
from workers.work_counts import WorkCounts

log = logging.getLogger(__name__)

#: Loaded versions kept; during a rollout two per variant are in use.
MAX_LOADED = 16


class Workplace:
    """Belongs to one process: neither connections nor sessions survive a fork."""

    def __init__(self, store: Store, project: Project, counts: WorkCounts | None = None) -> None:
        self.store = store
        self.project = project
        self.counts = counts or WorkCounts(project.models)
        self.registry = Registry(store, project)
        self._warm = WarmVersions(store, project)
        self._layouts = Layouts(project)
        self._loaded: OrderedDict[tuple[str, int], Predictor] = OrderedDict()

    def predictor(self, model: str, version: int) -> Predictor:
        """The predictor of a version, loaded at first use.

        Raises:
            UnknownModel, VersionMissing, ModelRejected: it cannot be had.
            StoreUnavailable: Redis is away.
        """
        # A row may have been packed since by a newer declaration; without its layout it would count as empty.
        self._layouts.learn_all(self.store, [d.view for d in self.project.model(model).dependencies])
        found = self._loaded.get((model, version))
        if found is None:
            found = Predictor(self.project, self.registry.load(model, version), self._layouts)
            self._loaded[model, version] = found
            if len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end((model, version))
        return found

    def warm(self, model: str) -> list[Predictor]:
        """The predictors that hot keys are computed with: what the default variant serves, and the arms of experiments.

        A version that cannot be had is left out while there is another one.

        Raises:
            UnknownModel, VersionMissing, ModelRejected: none can be had.
            StoreUnavailable: Redis is away.
        """
        found, errors = list[Predictor](), list[PermanentError]()
        for version in self._warm.of(model):
            try:
                found.append(self.predictor(model, version))
            except PermanentError as error:
                log.warning("cannot compute with version %d of %s: %s", version, model, error)
                errors.append(error)
        if errors and not found:
            raise errors[0]
        return found or [self.active(model)]

    def active(self, model: str) -> Predictor:
        """The predictor of what the model's default variant serves; raises as `predictor` does."""
        variant = self.project.model(model).default_variant
        version = self.registry.active(model).get(variant)
        if version is None:
            raise VersionMissing(f"model {model!r} serves no version of variant {variant!r}")
        return self.predictor(model, version)


class PerProcess:
    """Builds the workplace in whichever process asks for it, once."""

    def __init__(self, build: Callable[[], Workplace]) -> None:
        self._build = build
        self._built: tuple[int, Workplace] | None = None

    def __call__(self) -> Workplace:
        """This process's workplace."""
        pid = os.getpid()
        if self._built is None or self._built[0] != pid:
            self._built = pid, self._build()
        return self._built[1]


def open_workplace(settings: Settings, project: Project, counts: WorkCounts | None = None) -> Workplace:
    """A workplace at the primary."""
    return Workplace(Store(settings.primary_url, timeout_s=settings.redis_timeout_s), project, counts)
