"""The experiments that run at this edge: follows what is declared, and says which arm answers a request.

An experiment runs here while all of its arms can answer. Until then, and while one is taken out because it fails, its
units get what everybody gets, and it is counted: an arm that were left out alone would make the others look different
than they are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from edge.arm_overrides import Headers
from edge.assignment import Assigned, ModelExperiments
from edge.background import Background
from edge.exposures import Exposures
from edge.replica import Replica
from edge.serving import LOOK_AGAIN_S, Serving
from edge.sleeper import Sleeper
from precompute.declared_experiments import READ, Declarations, DeclaredExperiments
from precompute.errors import NearcastError
from precompute.experiments import Experiment
from precompute.models import Key
from precompute.predictor import Predictor

log = logging.getLogger(__name__)


class Dealt(msgspec.Struct, frozen=True, gc=False):
    """What answers a request that takes part in an experiment."""

    assigned: Assigned
    predictor: Predictor


class Experiments:
    """Which of them run now, by model.

    Attributes:
        unready: requests of experiments that have an arm which cannot answer.
    """

    def __init__(self, replica: Replica, serving: Serving, exposures: Exposures, now_ms: Callable[[], int]) -> None:
        """Knows of none."""
        self._exposures = exposures
        self._project = serving.project
        self._replica = replica
        self._serving = serving
        self._now_ms = now_ms
        self._reader = DeclaredExperiments(serving.project)
        self._declared = Declarations({}, {})
        self._running: dict[str, ModelExperiments] = {}
        self._queries: dict[str, frozenset[str]] = {}
        #: By experiment; with the generation of what serves that it is right for.
        self._ready: dict[str, tuple[int, Mapping[str, Sleeper]]] = {}
        self._news = asyncio.Event()
        self._background = Background()
        self.unready = 0

    def deal(self, model: str, key: Key, headers: Headers, query: Mapping[str, str]) -> Dealt | None:
        """What answers a request that names no variant; None if it takes part in no experiment.

        Args:
            headers: names in lower case.
            query: what it has of `parameters`.

        Raises:
            InvalidRequest: it asks for an arm that there is not.
        """
        running = self._running.get(model)
        assigned = running.assign(key, headers, query) if running is not None else None
        if assigned is None:
            return None
        known = self._ready.get(assigned.experiment.name)
        if known is None or known[0] != self._serving.generation:
            known = self._look_for_arms(assigned.experiment)
        if known is None:
            self.unready += 1
            return None
        for arm in known[1].values():
            if arm.is_out():
                self.unready += 1
                return None
        return Dealt(assigned, known[1][assigned.arm.name])

    def deal_all(self, model: str, keys: Iterable[Key], headers: Headers, query: Mapping[str, str]) -> Dealt | None:
        """As `deal`, for keys that have to be answered alike; None if they are not all the same unit's."""
        first: Dealt | None = None
        for key in keys:
            dealt = self.deal(model, key, headers, query)
            if dealt is None or (first is not None and dealt.assigned.unit != first.assigned.unit):
                return None
            first = first or dealt
        return first

    def _look_for_arms(self, experiment: Experiment) -> tuple[int, Mapping[str, Sleeper]] | None:
        """What answers for each arm while nothing else serves; None if one of them has nothing yet."""
        found: dict[str, Sleeper] = {}
        for arm in experiment.arms:
            predictor = self._serving.arm(experiment.model, arm.variant, arm.version)
            if predictor is None:
                return None
            found[arm.name] = predictor
        known = self._ready[experiment.name] = self._serving.generation, found
        return known

    def answered(self, dealt: Dealt, key: Key, tier: str, took_s: float) -> None:
        """A request was; to be recorded."""
        version = dealt.predictor.servable.version
        self._exposures.offer(dealt.assigned, key.text, version, tier, took_s, self._now_ms())

    def vary(self, model: str) -> Sequence[str]:
        """The request headers that answers of a model depend on, because of experiments."""
        running = self._running.get(model)
        return running.vary if running is not None else ()

    def parameters(self, model: str) -> frozenset[str]:
        """Query parameters by which testers choose an arm, of experiments of this model that run or do not."""
        return self._queries.get(model, frozenset())

    @property
    def running(self) -> int:
        """How many run."""
        return sum(len(model.experiments) for model in self._running.values())

    @property
    def broken(self) -> Mapping[str, str]:
        """Why some do not run, by name."""
        return self._declared.broken

    def look(self) -> None:
        """Something has changed: look again soon."""
        self._news.set()

    def start(self) -> None:
        """Follows what is declared until `stop`."""
        self._background.begin(self._run())

    async def stop(self) -> None:
        """Stops following."""
        await self._background.end()

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._wait_s()):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            try:
                await self.refresh()
            except NearcastError as error:
                log.warning("cannot read the experiments: %s", error)
                # Their times come all the same.
                self._take(self._declared)

    def _wait_s(self) -> float:
        now_ms = self._now_ms()
        change_ms = self._declared.next_change_ms(now_ms)
        return LOOK_AGAIN_S if change_ms is None else min(LOOK_AGAIN_S, max(0.001, (change_ms - now_ms) / 1000))

    async def refresh(self) -> None:
        """Takes in what is declared now.

        Raises:
            StoreUnavailable: the replica cannot be asked; everything stays as it was.
        """
        (reply,) = await self._replica.run([READ])
        declared = self._reader.read(reply, self._now_ms())
        for name in declared.broken.keys() - self._declared.broken.keys():
            log.warning("experiment %s does not run: %s", name, declared.broken[name])
        self._take(declared)

    def _take(self, declared: Declarations) -> None:
        """Begins and ends what is to run now."""
        self._declared = declared
        self._ready = {}
        running = {
            model: experiments
            for model, experiments in declared.running(self._now_ms()).items()
            if model in self._project.models
        }
        self._running = {
            model: known
            if (known := self._running.get(model)) is not None and _same(known.experiments, experiments)
            else ModelExperiments(self._project.model(model), experiments)
            for model, experiments in running.items()
        }
        queries: dict[str, set[str]] = {}
        for of in declared.experiments.values():
            override = of.experiment.override
            if override is not None and override.kind == "query":
                queries.setdefault(of.experiment.model, set()).add(override.name)
        self._queries = {model: frozenset(names) for model, names in queries.items()}
        arms = [(model, arm) for model, experiments in running.items() for one in experiments for arm in one.arms]
        pinned = {(model, arm.version) for model, arm in arms if arm.version is not None}
        self._exposures.share_among(self.running)
        self._serving.experiment_on(frozenset(running), frozenset(pinned))


def _same(known: Sequence[Experiment], experiments: Sequence[Experiment]) -> bool:
    """Whether these are the very same objects, in whichever order."""
    return {id(one) for one in known} == {id(one) for one in experiments}
