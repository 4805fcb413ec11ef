"""Which versions of a model hot keys are computed with: the default one, and those of the arms of its experiments."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from precompute.declared_experiments import READ, DeclaredExperiments
from precompute.experiments import Experiment
from precompute.manifest import Project
from precompute.models import Model
from precompute.registry import Registry
from precompute.store import Store

#: Each one costs as much as the default: of more, the first ones are computed and the others wait for requests.
MAX_VERSIONS = 8
#: An experiment that begins within this time finds its predictions ready.
AHEAD_MS = 60_000
#: What is declared is read again after this: tasks of a burst share one read.
_READ_EVERY_S = 1.0


def warm_versions(model: Model, active: Mapping[str, int], experiments: Iterable[Experiment]) -> tuple[int, ...]:
    """The versions of a model to compute hot keys with, the default's first; none if nothing is published. Pure.

    Args:
        active: the version that each variant serves.
        experiments: those of this model that run.
    """
    wanted = [active.get(model.default_variant)]
    for experiment in experiments:
        wanted += [arm.version if arm.variant is None else active.get(arm.variant) for arm in experiment.arms]
    return tuple(dict.fromkeys(version for version in wanted if version is not None))[:MAX_VERSIONS]


class WarmVersions:
    """Asks the store which versions these are."""

    def __init__(
        self,
        store: Store,
        project: Project,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._project = project
        self._clock_ms = clock_ms
        self._clock_s = clock_s
        self._registry = Registry(store, project)
        self._reader = DeclaredExperiments(project)
        self._declared: dict[str, list[Experiment]] = {}
        self._read_s = float("-inf")

    def of(self, model: str) -> tuple[int, ...]:
        """Those of one model now. Raises UnknownModel, StoreUnavailable."""
        declared = self._project.model(model)
        return warm_versions(declared, self._registry.active(model), self._experiments(model))

    def _experiments(self, model: str) -> list[Experiment]:
        if self._clock_s() >= self._read_s + _READ_EVERY_S:
            declared = self._reader.read(self._store.call(*READ), self._clock_ms())
            self._read_s, self._declared = self._clock_s(), {}
            for of in declared.experiments.values():
                self._declared.setdefault(of.experiment.model, []).append(of.experiment)
        now_ms = self._clock_ms()
        return [one for one in self._declared.get(model, ()) if one.runs(now_ms) or one.runs(now_ms + AHEAD_MS)]
