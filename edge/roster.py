"""What answers: the predictors of one edge, by model, variant and version; `Serving` says which they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from edge.catalogue import Catalogue, Loadable
from edge.loads import Loads
from edge.sleeper import Sleeper
from precompute.errors import InvalidRequest, UnknownVersion, VersionMissing, Withdrawn
from precompute.manifest import Project
from precompute.predictor import Predictor, Servable


class Roster:
    """Finds predictors, loaded or not.

    Attributes:
        generation: counts up whenever another version serves, for those who keep what follows from it.
    """

    def __init__(self, project: Project, catalogue: Catalogue, loads: Loads) -> None:
        """Begins with nothing."""
        self.project = project
        self.loads = loads
        self._catalogue = catalogue
        self._predictors: dict[tuple[str, str], Sleeper] = {}
        #: What is active or kept ready, loaded or not.
        self._sleepers: dict[Loadable, Sleeper] = {}
        #: Models whose requests take part in experiments.
        self._experimented: frozenset[str] = frozenset()
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
        found = self._sleepers.get((model, version))
        ready = self.ready(model)
        if found is None or version not in ready:
            if model in self.withdrawn:
                self.predictor(model)
            known = ", ".join(map(str, ready)) or "none"
            raise UnknownVersion(f"model {model!r}: version {version} is not ready here; ready: {known}")
        return found

    def default_version(self, model: str) -> int | None:
        """The version that answers requests which name no variant; None if there is none, or it is chosen anew."""
        declared = self.project.models.get(model)
        if declared is None or declared.is_routed or model in self._experimented:
            return None
        found = self._predictors.get((model, declared.default_variant))
        return found.servable.version if found else None

    def variants(self, model: str) -> list[Sleeper]:
        """What answers for each variant of a model, as far as one is published; raises UnknownModel."""
        declared = self.project.model(model)
        found = [self._predictors.get((model, variant)) for variant in declared.variants]
        return [sleeper for sleeper in found if sleeper is not None]

    def arm(self, model: str, variant: str | None, version: int | None) -> Sleeper | None:
        """The predictor of an arm: of a variant, or else of a version that `experiment_on` has named; None if there is
        none yet."""
        if model in self.withdrawn:
            return None
        if variant:
            return self._predictors.get((model, variant))
        pinned = self._sleepers.get((model, version or 0))
        return pinned if pinned is not None and pinned.was_awake else None

    def servables(self) -> Sequence[Servable]:
        """Everything that answers."""
        return [p.servable for p in self._predictors.values()]

    def ready(self, model: str) -> list[int]:
        """Versions of a model that answer when they are asked, active ones included: loaded, or loaded when needed."""
        serving = {*self._predictors.values()}
        found = [s for s in self.sleepers() if s.name[0] == model and (s.awake is not None or s in serving)]
        return sorted(s.servable.version for s in found if s.awake is not None or s.name not in self.failures)

    def loaded(self, model: str) -> list[int]:
        """Versions of a model that are loaded."""
        return sorted(s.servable.version for s in self.sleepers() if s.awake is not None and s.name[0] == model)

    def loading(self, model: str) -> list[int]:
        """Versions of a model that are being loaded."""
        return sorted(version for name, version in self.loads.under_way() if name == model)

    async def awake(self, predictor: Predictor) -> None:
        """Sees to it that a predictor is loaded, for those who are about to use it.

        Raises:
            ModelUnavailable: it could not be loaded, or was taken out.
        """
        if not isinstance(predictor, Sleeper):
            return
        if (loading := predictor.loading()) is not None:
            await asyncio.shield(loading)
        predictor.wanted = False
        if predictor.awake is None:
            raise predictor.unavailable()

    async def known(self, predictor: Predictor) -> Servable:
        """A predictor's servable with its signature, for which it is loaded if it never was; raises as `awake` does."""
        if isinstance(predictor, Sleeper) and not predictor.was_awake:
            await self.awake(predictor)
        return predictor.servable

    @property
    def withdrawn(self) -> frozenset[str]:
        """Models that somebody has taken out of this node's service."""
        return self._catalogue.withdrawn

    @property
    def failures(self) -> Mapping[Loadable, str]:
        """Why a version could not be loaded, by model and version."""
        return self.loads.failures

    def sleepers(self) -> Iterator[Sleeper]:
        """All versions that are active or kept ready; what serves may be older than what is to."""
        known = self._sleepers
        yield from known.values()
        yield from [s for s in self._predictors.values() if known.get(s.name) is not s]
