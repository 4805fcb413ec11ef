"""Many asks at once: each is answered as it would be alone, for one read and one run."""

from __future__ import annotations

from edge.ask import Answer
from edge.stats import Tier
from edge.together import Outcome, answer_together
from precompute.errors import DeadlineExceeded, FeatureMissing, Overloaded, StoreUnavailable
from tests.unit.edge.rig import Rig, total


def _told(outcomes: list[Outcome]) -> list[tuple[Tier, float] | type[Exception]]:
    return [(one.tier, total(one)) if isinstance(one, Answer) else type(one) for one in outcomes]


async def test_each_comes_from_its_own_tier_in_the_order_asked() -> None:
    """Memory, replica and live beside a key that has no row; one read, one pipeline for the rows."""
    rig = Rig()
    await rig.answer("a:p")
    rig.store(50.0, key="stored:p")
    gets, runs = rig.replica.gets, len(rig.replica.runs)

    outcomes = await answer_together(rig.ladder, [rig.ask(key) for key in ("b:p", "a:p", "none:p", "stored:p", "b:p")])

    assert _told(outcomes) == [
        (Tier.LIVE, 17.0),
        (Tier.MEMORY, 13.0),
        FeatureMissing,
        (Tier.REPLICA, 50.0),
        (Tier.LIVE, 17.0),
    ]
    assert (rig.replica.gets - gets, len(rig.replica.runs) - runs) == (1, 1)


async def test_what_memory_has_costs_no_read() -> None:
    """Nor does what is known to be missing."""
    rig = Rig()
    await answer_together(rig.ladder, [rig.ask("a:p"), rig.ask("none:p")])
    gets = rig.replica.gets

    outcomes = await answer_together(rig.ladder, [rig.ask("a:p"), rig.ask("none:p")])

    assert _told(outcomes) == [(Tier.MEMORY, 13.0), FeatureMissing]
    assert rig.replica.gets == gets


async def test_a_changed_candidate_is_computed_anew() -> None:
    """Beside neighbours that have not changed."""
    rig = Rig()
    await answer_together(rig.ladder, [rig.ask("a:p"), rig.ask("b:p")])
    rig.change(5, v=[100.0, 0.0])

    outcomes = await answer_together(rig.ladder, [rig.ask("a:p"), rig.ask("b:p")])

    assert _told(outcomes) == [(Tier.LIVE, 110.0), (Tier.MEMORY, 17.0)]


async def test_a_stale_one_says_so() -> None:
    """Where the policy allows it."""
    rig = Rig(policy="stale_while_revalidate_s = 60.0")
    await rig.answer("a:p")
    rig.change(5, v=[100.0, 0.0])
    rig.now_ms += 10

    outcomes = await answer_together(rig.ladder, [rig.ask("a:p"), rig.ask("b:p")])

    assert _told(outcomes) == [(Tier.STALE, 13.0), (Tier.LIVE, 17.0)]


async def test_what_is_not_there_in_time_costs_the_rest_nothing() -> None:
    """A replica that does not answer: what memory has is answered, the others are late."""
    rig = Rig()
    await rig.answer("a:p")
    rig.replica.gate.clear()

    outcomes = await answer_together(rig.ladder, [rig.ask(key, budget_s=0.01) for key in ("a:p", "b:p")])
    rig.replica.gate.set()

    assert _told(outcomes) == [(Tier.MEMORY, 13.0), DeadlineExceeded]


async def test_without_a_replica_memory_answers() -> None:
    """The others are told why they are not."""
    rig = Rig()
    await rig.answer("a:p")
    rig.fail()

    assert _told(await answer_together(rig.ladder, [rig.ask("a:p"), rig.ask("b:p")])) == [
        (Tier.MEMORY, 13.0),
        StoreUnavailable,
    ]


async def test_what_does_not_fit_the_queue_is_refused() -> None:
    """The first ones are computed."""
    rig = Rig(max_waiting=1)

    assert _told(await answer_together(rig.ladder, [rig.ask("a:p"), rig.ask("b:p")])) == [
        (Tier.LIVE, 13.0),
        Overloaded,
    ]
