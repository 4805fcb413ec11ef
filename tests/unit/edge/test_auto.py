"""`variant=auto`: decisions carried out on a ladder without servers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

import orjson
import pytest

from edge.auto import Auto, Routed, Wanted
from edge.probes import Probes
from edge.profiles import Profiles
from edge.stats import Tier
from edge.tier_lookup import TierLookup
from precompute.entry import header, identity, tail
from precompute.errors import DeadlineExceeded, InvalidRequest, VersionMissing
from precompute.keys import entry_key
from precompute.layouts import Layouts
from precompute.outputs import default_rules
from precompute.predictor import Batch, Plan, Predictor, Servable
from precompute.updates import AsOf, Reply
from tests.unit.edge.rig import EPOCH, NOW_MS, SESSION, Rig, at

VARIANTS = """
variants = { accurate = { quality = 0.9 }, default = { quality = 0.8 }, fast = { quality = 0.7 } }
[tiers]
premium = { budget_factor = 2.0 }
free = { budget_factor = 0.5 }
"""
BY_VIEW = (
    VARIANTS
    + """
[views.account.fields]
plan = { type = "string", default = "" }
[tier_source]
header = "x-account"
view = "account"
field = "plan"
"""
)
VERSIONS = {"accurate": 3, "default": 1, "fast": 2}


class Slow(Predictor):
    """Takes as long as it is told, by a clock that stands still otherwise."""

    takes_s = 0.0
    loads_s = 0.0

    def to_load_s(self) -> float:
        return self.loads_s

    def complete(self, plan: Plan, replies: Sequence[Reply], now_ms: int) -> Batch:
        SHIFT[0] += self.takes_s
        return super().complete(plan, replies, now_ms)


#: How far the clock of these tests is ahead.
SHIFT = [0.0]


def clock_s() -> float:
    """The clock of routing, profiles and probes."""
    return time.monotonic() + SHIFT[0]


class Scene:
    """Three variants of one model."""

    def __init__(self, more: str = VARIANTS, policy: str = "") -> None:
        SHIFT[0] = 0.0
        self.rig = Rig(more=more, policy=policy)
        model, layouts = self.rig.project.model("score"), Layouts(self.rig.project)
        rules = default_rules(SESSION.signature)[:1]
        self.predictors = {
            name: Slow(self.rig.project, Servable(model, name, version, SESSION, rules), layouts)
            for name, version in VERSIONS.items()
        }
        self.serving: list[str] = list(VERSIONS)
        self.withdrawn: frozenset[str] = frozenset()
        self.profiles = Profiles()
        self.probes = Probes(self.rig.ladder.live, self.profiles, clock_s)
        tiers = TierLookup(self.rig.project.tiers, self.rig.replica, layouts)  # type: ignore[arg-type]
        self.auto = Auto(
            self.rig.ladder,
            self,  # type: ignore[arg-type]
            self.profiles,
            self.probes,
            tiers,
            1000.0,
            clock_s,
        )

    def variants(self, model: str) -> list[Predictor]:
        """As `Serving.variants`."""
        return [self.predictors[name] for name in self.serving]

    def knows(self, **p95_ms: float) -> None:
        """What live answers took up to now."""
        for variant, ms in p95_ms.items():
            self.profiles.observe("score", variant, Tier.LIVE, ms / 1000, clock_s())

    def store(self, variant: str, *, as_of_ms: int = 0) -> None:
        """An entry in the replica."""
        as_of = AsOf(EPOCH, (at(as_of_ms), at(as_of_ms), 0))
        start = identity("score", VERSIONS[variant], variant, "a:p")
        body = start + b'"outputs":{"sum":1.0}' + tail(as_of, NOW_MS)
        self.rig.replica.values[entry_key("score", VERSIONS[variant], "a:p")] = header(as_of, NOW_MS) + body

    def keep(self, variant: str) -> None:
        """An entry in memory."""
        servable = self.predictors[variant].servable
        key = servable.model.parse_key("a:p")
        self.store(variant)
        name = entry_key("score", servable.version, "a:p")
        edition = self.rig.ladder.editions.of(servable)
        held = edition.read(edition.facts(key), self.rig.replica.values.pop(name))
        self.rig.memory.put(name, held)

    async def ask(self, budget_ms: float = 1000.0, named: str | None = None, key: str = "a:p") -> Routed:
        """One request."""
        model = self.rig.project.model("score")
        return await self.auto.answer(Wanted(model, model.parse_key(key), budget_ms, clock_s(), named))


def told(routed: Routed) -> tuple[str, Tier, bool]:
    """Variant, tier, and whether it fits; the body must agree."""
    variant = routed.predictor.servable.variant
    assert orjson.loads(routed.answer.body)["variant"] == variant
    return variant, routed.answer.tier, routed.choice.fits


async def test_the_best_that_fits_is_computed() -> None:
    """Measured latencies decide."""
    scene = Scene()
    scene.knows(accurate=40.0, default=12.0, fast=3.0)

    assert told(await scene.ask(500.0)) == ("accurate", Tier.LIVE, True)


@pytest.mark.parametrize(
    ("budget_ms", "named", "variant"),
    [(1000.0, None, "default"), (1000.0, "premium", "accurate"), (1000.0, "free", "fast")],
)
async def test_a_user_tier_widens_or_narrows_the_budget(budget_ms: float, named: str | None, variant: str) -> None:
    """Seconds here, so that nothing really runs out of time."""
    scene = Scene()
    scene.knows(accurate=1500.0, default=700.0, fast=100.0)

    routed = await scene.ask(budget_ms, named)

    assert told(routed) == (variant, Tier.LIVE, True)
    assert routed.choice.budget_ms == budget_ms * {"premium": 2.0, "free": 0.5}.get(named or "", 1.0)


async def test_an_unknown_tier_is_an_error() -> None:
    """Not an answer of some other quality."""
    with pytest.raises(InvalidRequest, match="no tier 'gold'"):
        await Scene().ask(named="gold")


async def test_a_tier_may_stand_in_a_row() -> None:
    """Read together with the entries; who has no row, or one that says nothing known, has no tier."""
    scene = Scene(BY_VIEW)
    scene.knows(accurate=1500.0, default=700.0, fast=100.0)
    scene.rig.replica.put("account", "bob", 0, plan="premium")
    scene.rig.replica.put("account", "eve", 0, plan="unheard of")
    found = []
    for name in ("bob", "eve", "nobody", None):
        scene.rig.memory.remove("p:score:1:a:p")
        scene.rig.memory.remove("p:score:3:a:p")
        found.append(told(await scene.ask(1000.0, name))[0])

    assert found == ["accurate", "default", "default", "default"]


async def test_a_replica_that_cannot_be_asked_costs_nobody_the_tier_of_everybody() -> None:
    """What is in memory is answered all the same."""
    scene = Scene(BY_VIEW)
    scene.keep("default")
    scene.knows(accurate=40.0)
    scene.rig.fail()

    assert told(await scene.ask(1000.0, "bob")) == ("default", Tier.MEMORY, True)


async def test_the_best_in_memory_asks_nobody() -> None:
    """As fast as a named variant."""
    scene = Scene()
    scene.keep("accurate")

    assert told(await scene.ask(5.0)) == ("accurate", Tier.MEMORY, True)
    assert scene.rig.replica.gets == 0


async def test_a_better_one_in_the_replica_beats_a_worse_one_in_memory() -> None:
    """And takes its place there."""
    scene = Scene()
    scene.keep("fast")
    scene.store("accurate")

    assert told(await scene.ask(5.0)) == ("accurate", Tier.REPLICA, True)
    assert scene.rig.replica.gets == 1


async def test_a_ready_worse_one_answers_what_computing_would_take_too_long_for() -> None:
    """The better ones are known to be slow."""
    scene = Scene()
    scene.keep("fast")
    scene.knows(accurate=40.0, default=30.0)

    assert told(await scene.ask(20.0)) == ("fast", Tier.MEMORY, True)


async def test_a_variant_that_has_to_be_loaded_takes_that_much_longer() -> None:
    """It would be in time otherwise."""
    scene = Scene()
    scene.knows(accurate=40.0, default=12.0, fast=3.0)
    scene.predictors["accurate"].loads_s = 2.0

    assert told(await scene.ask(1000.0))[0] == "default"


async def test_nothing_fits_is_the_fastest_and_says_so() -> None:
    """A budget below everything."""
    scene = Scene()
    scene.knows(accurate=4000.0, default=3000.0, fast=2500.0)

    assert told(await scene.ask(2000.0)) == ("fast", Tier.LIVE, False)


async def test_the_fastest_may_take_longer_than_a_budget_that_nothing_fits() -> None:
    """Late and saying so is better than nothing; it has what a request without a budget has."""
    scene = Scene()
    scene.knows(accurate=4000.0, default=3000.0, fast=2500.0)
    scene.rig.replica.gate.clear()
    asked = asyncio.create_task(scene.ask(1.0))
    await asyncio.sleep(0.02)

    scene.rig.replica.gate.set()

    assert told(await asked) == ("fast", Tier.LIVE, False)


async def test_what_does_not_come_in_time_gives_way_to_what_is_ready() -> None:
    """It looked fast enough, and is measured as slow from now on."""
    scene = Scene()
    scene.keep("fast")
    scene.knows(accurate=1.0)
    scene.rig.replica.gate.clear()
    asked = asyncio.create_task(scene.ask(30.0))

    routed = await asked

    assert told(routed) == ("fast", Tier.MEMORY, True)
    scene.rig.replica.gate.set()


async def test_what_does_not_come_in_time_is_measured_and_not_tried_again() -> None:
    """With nothing ready the caller gets the error that anybody would."""
    scene = Scene()
    scene.knows(accurate=1.0, fast=2.0)
    scene.rig.replica.gate.clear()

    with pytest.raises(DeadlineExceeded):
        await scene.ask(20.0)

    SHIFT[0] += 0.2
    assert (scene.profiles.p95_ms("score", "accurate", Tier.LIVE, clock_s()) or 0) > 18
    scene.rig.replica.gate.set()


async def test_a_variant_that_becomes_slow_loses_traffic_and_gets_it_back() -> None:
    """By what is measured of it, then by probes; the clock is the test's."""
    scene = Scene()
    scene.knows(accurate=10.0, default=5.0, fast=1.0)
    seen = []
    for second in range(40):
        scene.predictors["accurate"].takes_s = 0.4 if 10 <= second < 20 else 0.01  # type: ignore[attr-defined]
        scene.rig.memory.remove("p:score:3:a:p")
        scene.rig.memory.remove("p:score:1:a:p")
        seen.append((await scene.ask(200.0)).predictor.servable.variant)
        if scene.probes._task is not None:
            await asyncio.wait([scene.probes._task])
        SHIFT[0] += 1.0

    assert set(seen[:11]) == {"accurate"}
    assert "accurate" not in seen[11:20]
    assert set(seen[30:]) == {"accurate"}


async def test_nothing_published_is_said() -> None:
    """As for any model without a version."""
    scene = Scene()
    scene.serving = []

    with pytest.raises(VersionMissing, match="any variant"):
        await scene.ask()


async def test_only_what_serves_is_chosen_from() -> None:
    """A variant that is declared and not published is none."""
    scene = Scene()
    scene.serving = ["fast"]

    assert told(await scene.ask()) == ("fast", Tier.LIVE, False)


async def test_choices_are_counted_by_variant_and_those_over_budget_among_them() -> None:
    """One for each answer, and one for all candidates of a ranking; the sum is what routing has answered."""
    scene = Scene()
    scene.knows(accurate=80.0, default=10.0, fast=2.0)
    model = scene.rig.project.model("score")
    answers = [await scene.ask(20.0), await scene.ask(20.0), await scene.ask(1.0, key="b:p")]
    _, ranked = await scene.auto.for_all(model, 20.0, None)

    chosen = Counter((it.predictor.servable.variant, it.choice.fits) for it in answers)
    chosen[ranked.candidate.variant, ranked.fits] += 1

    counted = scene.auto.routed
    assert chosen == {("default", True): 3, ("fast", False): 1}
    for variant in scene.serving:
        late = chosen[variant, False]
        assert counted["score", variant, "over_budget"] == late
        assert counted["score", variant, "chosen"] == late + chosen[variant, True]
