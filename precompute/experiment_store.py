"""Experiments of one server and project: adding, stopping and forgetting them by command.

What was changed is told in the registry's log, which edges follow. They look at what is declared anew, and read the
same thing at the same time; whoever misses the news looks again some seconds later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from precompute.declared_experiments import READ, Declarations, Declared, DeclaredExperiments, Stored
from precompute.errors import ExperimentRefused, UnknownExperiment
from precompute.experiments import Experiment, Layers, first_fit
from precompute.keys import EXPERIMENTS, REGISTRY_LOG, answers_key, exposures_key
from precompute.manifest import Project, parse_experiment
from precompute.registry import LOG_RECORDS, Registry
from precompute.store import Store
from precompute.updates import Command

#: Added by command, over or not; every edge reads all of them.
MAX_STORED = 5_000
MAX_TABLE_BYTES = 16_384


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class ExperimentStore:
    """Reads and changes what is declared."""

    def __init__(self, store: Store, project: Project, clock_ms: Callable[[], int] = _now_ms) -> None:
        self._store = store
        self._project = project
        self._clock_ms = clock_ms
        self._reader = DeclaredExperiments(project)

    def all(self) -> Declarations:
        """Everything that is declared. Raises StoreUnavailable."""
        return self._reader.read(self._store.call(*READ), self._clock_ms())

    def get(self, name: str) -> Declared:
        """One experiment.

        Raises:
            UnknownExperiment: its text lists what is declared.
            ExperimentRefused: it does not go with the project or the others.
        """
        found = self.all()
        if name in found.broken:
            raise ExperimentRefused(f"experiment {name!r} does not run: {found.broken[name]}")
        if name not in found.experiments:
            raise UnknownExperiment(name, sorted({*found.experiments, *found.broken}))
        return found.experiments[name]

    def add(
        self, name: str, table: Mapping[str, Any], *, share: float | None = None, replace: bool = False
    ) -> Declared:
        """Declares an experiment, once all of it is right.

        Args:
            table: as in `[experiments.NAME]`, with moments as text.
            share: of its layer, wherever there is room; instead of a slice in the table.
            replace: whether it may take the place of one that was added before, to change its shares for example.

        Raises:
            ManifestError: every mistake in it.
            ExperimentRefused: the name or the slice is taken, or there are too many.
            VersionMissing: an arm's version was never published.
        """
        if name in self._project.experiments:
            raise ExperimentRefused(f"experiment {name!r} is declared in the project file; change it there")
        experiment = parse_experiment(self._project, name, table, "experiment add")
        declared = self.all()
        existing = {*declared.experiments, *declared.broken} - set(self._project.experiments)
        if name in existing and not replace:
            raise ExperimentRefused(f"experiment {name!r} exists already; take another name, or say --replace")
        if len(existing - {name}) >= MAX_STORED:
            raise ExperimentRefused(f"{MAX_STORED:,} experiments are kept already; remove some that are over")
        others = _others(declared, name, self._clock_ms())
        if share is not None:
            table = {**table, "slice": _fitted(others, experiment, share)}
            experiment = parse_experiment(self._project, name, table, "experiment add")
        if objection := others.objection(experiment):
            raise ExperimentRefused(f"experiment {name!r}: {' '.join(objection)}")
        self._check_versions(experiment)
        raw = msgspec.json.encode(Stored(dict(table), self._clock_ms()))
        if len(raw) > MAX_TABLE_BYTES:
            raise ExperimentRefused(f"experiment {name!r} takes {len(raw):,} bytes; the limit is {MAX_TABLE_BYTES:,}")
        self._store.atomically([("HSET", EXPERIMENTS, name, raw), _news(experiment)])
        return Declared(experiment, "command")

    def stop(self, name: str) -> Declared:
        """Ends an experiment now and for good; whose units it had get what everybody gets.

        Raises:
            UnknownExperiment, ExperimentRefused: as `get`; or it is over already.
        """
        found, now_ms = self.get(name), self._clock_ms()
        if found.experiment.is_over(now_ms):
            raise ExperimentRefused(f"experiment {name!r} is over already")
        raw = self._store.call("HGET", EXPERIMENTS, name)
        stored = msgspec.json.decode(raw, type=Stored) if raw is not None else Stored(None, now_ms)
        stopped = msgspec.json.encode(msgspec.structs.replace(stored, stopped_ms=now_ms))
        self._store.atomically([("HSET", EXPERIMENTS, name, stopped), _news(found.experiment)])
        return self.get(name)

    def remove(self, name: str) -> None:
        """Forgets an experiment that is over or broken, or no longer in the project file, with what it has recorded.

        Raises:
            ExperimentRefused: it is declared in the project file, or not over.
            UnknownExperiment: there is nothing of that name.
        """
        declared = self.all()
        found = declared.experiments.get(name)
        if name in self._project.experiments:
            raise ExperimentRefused(f"experiment {name!r} is declared in the project file; remove it there first")
        if found is not None and not found.experiment.is_over(self._clock_ms()):
            raise ExperimentRefused(f"experiment {name!r} is not over; stop it first")
        replies = self._store.atomically([("HDEL", EXPERIMENTS, name), ("DEL", exposures_key(name), answers_key(name))])
        if not any(replies):
            raise UnknownExperiment(name, sorted({*declared.experiments, *declared.broken}))

    def _check_versions(self, experiment: Experiment) -> None:
        registry = Registry(self._store, self._project)
        for arm in experiment.arms:
            if arm.version is not None:
                registry.version(experiment.model, arm.version)


def _others(declared: Declarations, name: str, now_ms: int) -> Layers:
    layers = Layers()
    for other in declared.experiments.values():
        if other.experiment.name != name and not other.experiment.is_over(now_ms):
            layers.add(other.experiment)
    return layers


def _fitted(others: Layers, experiment: Experiment, share: float) -> list[float]:
    gaps = others.free(experiment)
    found = first_fit(gaps, share)
    if found is None:
        largest = max((high - low for low, high in gaps), default=0.0)
        raise ExperimentRefused(
            f"layer {experiment.layer!r} has no room for {share:g} in one piece then; the largest is {largest:g}"
        )
    return list(found)


def _news(experiment: Experiment) -> Command:
    return (
        "XADD", REGISTRY_LOG, "MAXLEN", "~", LOG_RECORDS, "*",
        "model", experiment.model, "event", "experiment", "name", experiment.name,
    )  # fmt: skip
