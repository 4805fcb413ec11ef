"""`variant=auto`: answers with the best variant that the time allows, as `edge/routing.py` decides.

1. Variants are looked up in memory from the best down, until one is there.
2. What the replica has of those better than that one is read at once, with the user's tier if a view has it.
3. Routing chooses between the best answer that lies ready and the better ones that would have to be computed.
4. A chosen computation that fails or takes longer than the budget is measured as such, and gives way to the answer that
   lies ready; without one, it ends as the ladder ends for everybody. Where nothing fits, the fastest variant is given
   the time that a request without a budget has: an answer that says that it is late, rather than none.
5. A variant that has not been measured for a while is measured in the background.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from edge.answer import Ladder
from edge.ask import Answer, Ask
from edge.probes import Probes
from edge.profiles import Profiles
from edge.routing import Candidate, Choice, choose
from edge.serving import Serving
from edge.stats import Tier
from edge.tier_lookup import TierLookup
from precompute.errors import VersionMissing
from precompute.models import Key, Model
from precompute.predictor import Predictor

#: No factor makes a budget longer than this.
MOST_MS = 60_000.0


class Wanted(NamedTuple):
    """One key, and how soon.

    Attributes:
        began_s: when the request came, by the monotonic clock; its budget counts from there.
        named: what the header says from which tiers are found; None without one.
        is_alone: whether its answer tells how long answers take; not one of many.
    """

    model: Model
    key: Key
    budget_ms: float
    began_s: float
    named: str | None = None
    revalidate: bool = False
    is_alone: bool = True


class Routed(NamedTuple):
    """An answer, and how its variant was chosen."""

    answer: Answer
    predictor: Predictor
    choice: Choice


class Auto:
    """Answers keys with the variant that suits; see the module for the steps.

    Attributes:
        header: the request header that says who asks, in lower case; empty if nobody wants to know.
        routed: decisions by model, variant and what: `chosen`, and of these `over_budget`, where nothing fitted. One
            for each key that was answered, or for all candidates of a ranking.
    """

    def __init__(
        self,
        ladder: Ladder,
        serving: Serving,
        profiles: Profiles,
        probes: Probes,
        tiers: TierLookup,
        patience_ms: float,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`patience_ms` is what a request that names no budget is given."""
        self._patience_ms = patience_ms
        self._ladder = ladder
        self._serving = serving
        self._profiles = profiles
        self._probes = probes
        self._tiers = tiers
        self._clock_s = clock_s
        self.header = tiers.header
        self.routed: Counter[tuple[str, str, str]] = Counter()

    async def answer(self, wanted: Wanted) -> Routed:
        """The answer to one key.

        Raises:
            VersionMissing: no variant serves.
            InvalidRequest: no such user tier.
            PermanentError, TransientError: as `Ladder.answer`.
        """
        predictors = self._predictors(wanted.model)
        asks = [Ask(p, wanted.key, wanted.began_s + wanted.budget_ms / 1000, wanted.revalidate) for p in predictors]
        better, ready = self._in_memory(asks)
        factor = self._tiers.said(wanted.named)
        if better:
            read = self._ladder.read([ask.name for ask in better], better[0].deadline)
            if factor is None:
                # Begun together, both are the same MGET.
                looked_up = self._tiers.look_up(str(wanted.named), better[0].deadline)
                factor, values = await asyncio.gather(looked_up, read)
            else:
                values = await read
            better, ready = self._in_replica(better, values, ready)
        budget_ms = min(MOST_MS, wanted.budget_ms * (factor or 1.0))
        routed = await self._answered(wanted, better, ready, budget_ms)
        self._probes.consider(predictors, wanted.key)
        return routed

    async def for_all(self, model: Model, budget_ms: float, named: str | None) -> tuple[Predictor, Choice]:
        """The one variant for keys whose answers will be compared: the best whose live answers fit the budget.

        Raises:
            VersionMissing: no variant serves.
            InvalidRequest: no such user tier.
        """
        predictors = {predictor.servable.variant: predictor for predictor in self._predictors(model)}
        factor = self._tiers.said(named)
        if factor is None:
            factor = await self._tiers.look_up(str(named), self._clock_s() + budget_ms / 1000)
        candidates = [self._candidate(predictor, Tier.LIVE) for predictor in predictors.values()]
        choice = choose(_default_first(candidates, model), min(MOST_MS, budget_ms * factor))
        self._count(model.name, choice)
        return predictors[choice.candidate.variant], choice

    def _predictors(self, model: Model) -> list[Predictor]:
        """What serves and is not taken out, the best first; of equals, the declared default."""
        serving = self._serving.variants(model.name)
        found = [sleeper for sleeper in serving if not sleeper.is_out()] or serving
        if not found:
            if model.name in self._serving.withdrawn:
                self._serving.predictor(model.name)  # Which says so.
            raise VersionMissing(f"model {model.name!r}: nothing published for any variant yet")

        def rank(predictor: Predictor) -> tuple[float, bool]:
            variant = predictor.servable.variant
            return -model.variants[variant].quality, variant != model.default_variant

        return sorted(found, key=rank)

    def _in_memory(self, asks: Sequence[Ask]) -> tuple[list[Ask], tuple[Ask, Answer] | None]:
        """Step 1: those that memory does not have, down to the first that it has."""
        for position, ask in enumerate(asks):
            if (answer := self._ladder.from_memory(ask)) is not None:
                return list(asks[:position]), (ask, answer)
        return list(asks), None

    def _in_replica(
        self, asks: Sequence[Ask], values: Sequence[bytes | None], ready: tuple[Ask, Answer] | None
    ) -> tuple[list[Ask], tuple[Ask, Answer] | None]:
        """Step 2: the same of the replica."""
        for position, (ask, value) in enumerate(zip(asks, values, strict=True)):
            if (answer := self._ladder.from_replica(ask, value)) is not None:
                return list(asks[:position]), (ask, answer)
        return list(asks), ready

    async def _answered(
        self, wanted: Wanted, cold: Sequence[Ask], ready: tuple[Ask, Answer] | None, budget_ms: float
    ) -> Routed:
        """Steps 3 and 4."""
        asks = {ask.predictor.servable.variant: ask for ask in cold}
        candidates = [self._candidate(ask.predictor, Tier.LIVE) for ask in cold]
        if ready is not None:
            candidates.append(self._candidate(ready[0].predictor, ready[1].tier))
        choice = choose(_default_first(candidates, wanted.model), budget_ms)
        if ready is not None and choice.candidate.variant == ready[0].predictor.servable.variant:
            return self._routed(wanted, ready[0], ready[1], choice)
        ask = asks[choice.candidate.variant]
        until_ms = budget_ms if choice.fits else max(budget_ms, self._patience_ms)
        chosen = Ask(ask.predictor, ask.key, wanted.began_s + until_ms / 1000, ask.revalidate, ask.name)
        (outcome,) = await self._ladder.from_live([chosen])
        failed = isinstance(outcome, Exception) or outcome.tier in (Tier.STALE, Tier.DEFAULT)
        if failed:
            if self._clock_s() >= chosen.deadline:
                # What did not come in time takes at least that long; other failures tell nothing of it.
                self._measure(wanted, chosen, Tier.LIVE)
            if ready is not None:
                instead = self._candidate(ready[0].predictor, ready[1].tier)
                return self._routed(wanted, ready[0], ready[1], Choice(instead, budget_ms, fits=True))
        if isinstance(outcome, Exception):
            raise outcome
        return self._routed(wanted, chosen, outcome, choice)

    def _candidate(self, predictor: Predictor, tier: Tier) -> Candidate:
        servable = predictor.servable
        model, variant = servable.model, servable.variant
        p95_ms = self._profiles.p95_ms(model.name, variant, tier, self._clock_s())
        if p95_ms is not None and tier is Tier.LIVE:
            p95_ms += predictor.to_load_s() * 1000
        return Candidate(variant, model.variants[variant].quality, tier, p95_ms)

    def _routed(self, wanted: Wanted, ask: Ask, answer: Answer, choice: Choice) -> Routed:
        self._measure(wanted, ask, answer.tier)
        self._count(wanted.model.name, choice)
        return Routed(answer, ask.predictor, choice)

    def _count(self, model: str, choice: Choice) -> None:
        self.routed[model, choice.candidate.variant, "chosen"] += 1
        if not choice.fits:
            self.routed[model, choice.candidate.variant, "over_budget"] += 1

    def measure(self, predictor: Predictor, tier: Tier, took_s: float) -> None:
        """An answer took so long, whoever chose its variant."""
        servable = predictor.servable
        self._profiles.observe(servable.model.name, servable.variant, tier, took_s, self._clock_s())

    def _measure(self, wanted: Wanted, ask: Ask, tier: Tier) -> None:
        if wanted.is_alone:
            self.measure(ask.predictor, tier, self._clock_s() - wanted.began_s)


def _default_first(candidates: list[Candidate], model: Model) -> list[Candidate]:
    return sorted(candidates, key=lambda c: c.variant != model.default_variant)
