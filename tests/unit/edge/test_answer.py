"""The ladder, one step after the other."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from edge.ask import Answer
from edge.stats import Tier
from precompute.entry import header
from precompute.errors import DeadlineExceeded, FeatureMissing, Overloaded, StoreUnavailable
from precompute.keys import entry_key
from precompute.updates import AsOf
from tests.unit.edge.rig import EPOCH, NOW_MS, Rig, at, total

SWR = "stale_while_revalidate_s = 50.0"
SIE = "stale_if_error_s = 50.0"


async def test_a_key_is_computed_once_and_then_answered_from_memory() -> None:
    """Step 4 keeps its result for step 1 and offers it to everybody."""
    rig = Rig()

    first, second = await rig.answer(), await rig.answer()

    assert (first.tier, second.tier) == (Tier.LIVE, Tier.MEMORY)
    assert total(first) == total(second) == 13.0
    assert first.body == second.body
    assert len(rig.write_back.offered) == 1


async def test_a_fresh_entry_of_the_replica_is_answered_and_kept() -> None:
    """Step 2 runs no model, and step 1 has it from then on."""
    rig = Rig()
    rig.store(99.0)

    first, second = await rig.answer(), await rig.answer()

    assert (first.tier, second.tier) == (Tier.REPLICA, Tier.MEMORY)
    assert total(first) == total(second) == 99.0
    assert (rig.ladder.live.rows, rig.replica.gets) == (0, 1)


async def test_an_answer_says_why_memory_had_none() -> None:
    """`Cache-Status` tells a miss from an entry that was no longer fresh, and from a client that wanted none."""
    rig = Rig()

    missed = await rig.answer()
    rig.change(5, v=[0.0, 0.0])
    stale = await rig.answer()
    hit = await rig.answer()
    asked_for = await rig.answer(revalidate=True)

    assert [a.memory for a in (missed, stale, hit, asked_for)] == ["uri-miss", "stale", "", "request"]


@pytest.mark.parametrize("kept_in", ["memory", "replica"])
async def test_an_entry_past_its_ttl_is_computed_again(kept_in: str) -> None:
    """A tier never answers with an entry past its TTL."""
    rig = Rig()
    rig.store(99.0)
    if kept_in == "memory":
        await rig.answer()
    rig.now_ms += 100_000

    answer = await rig.answer()

    assert (answer.tier, total(answer)) == (Tier.LIVE, 13.0)


async def test_an_entry_is_fresh_until_the_last_millisecond_of_its_ttl() -> None:
    """Nothing is thrown away early, and the answer says how long it has left."""
    rig = Rig()
    rig.store(99.0)
    rig.now_ms += 99_999

    answer = await rig.answer()

    assert (answer.tier, answer.age_ms, answer.fresh_for_ms) == (Tier.REPLICA, 99_999, 1)


@pytest.mark.parametrize("kept_in", ["memory", "replica"])
async def test_an_entry_is_computed_again_once_a_feature_behind_it_has_changed(kept_in: str) -> None:
    """The one rule, in every tier."""
    rig = Rig()
    rig.store(99.0)
    if kept_in == "memory":
        await rig.answer()
    rig.change(5, v=[7.0, 7.0])

    answer = await rig.answer()

    assert (answer.tier, total(answer)) == (Tier.LIVE, 24.0)


async def test_a_change_of_another_entity_leaves_an_entry_fresh() -> None:
    """Only dependencies count."""
    rig = Rig()
    rig.store(99.0)
    rig.see("thing", "z", 5)

    assert (await rig.answer()).tier is Tier.REPLICA


@pytest.mark.parametrize("unknown", ["epoch", "floor"])
async def test_an_entry_nothing_is_known_about_is_computed_again(unknown: str) -> None:
    """Another history of the primary, or an as-of below what the follower has read, is as good as stale."""
    rig = Rig()
    rig.store(99.0)
    if unknown == "epoch":
        rig.freshness.epoch = None
    else:
        rig.freshness.tables["place"].floor = at(1)

    assert (await rig.answer()).tier is Tier.LIVE


async def test_nothing_is_fresh_while_the_replica_is_too_far_behind() -> None:
    """Beyond `max_lag_s` nobody can know; what is computed from it says `stale`."""
    rig = Rig()
    rig.store(99.0)
    await rig.answer()
    rig.lag_s = 10.5
    rig.now_ms += 1

    answer = await rig.answer()

    assert (answer.tier, total(answer)) == (Tier.STALE, 13.0)
    assert orjson.loads(answer.body)["stale"] is True
    assert answer.fresh_for_ms < 0


async def test_an_entry_of_another_key_is_never_answered() -> None:
    """A mixed-up slot or connection becomes a miss, and is counted."""
    rig = Rig()
    rig.store(99.0, key="b:p")
    rig.replica.values[entry_key("score", 1, "a:p")] = rig.replica.values[entry_key("score", 1, "b:p")]

    answer = await rig.answer()

    assert (answer.tier, total(answer)) == (Tier.LIVE, 13.0)
    assert rig.stats.corrupt_entries == 1


@pytest.mark.parametrize("damage", [b"", b"\x01", header(AsOf(EPOCH, (1, 1)), NOW_MS), b"\x09" * 200])
async def test_a_damaged_entry_is_a_miss(damage: bytes) -> None:
    """Whatever stands in Redis, the caller gets the right answer."""
    rig = Rig()
    rig.replica.values[entry_key("score", 1, "a:p")] = damage

    answer = await rig.answer()

    assert (answer.tier, rig.stats.corrupt_entries) == (Tier.LIVE, 1)


async def test_a_client_that_wants_no_cache_gets_a_new_computation() -> None:
    """Neither memory nor the replica answers, and the new result replaces what they had."""
    rig = Rig()
    rig.store(99.0)
    await rig.answer()

    asked_for = await rig.answer(revalidate=True)
    after = await rig.answer()

    assert (asked_for.tier, total(asked_for)) == (Tier.LIVE, 13.0)
    assert (after.tier, total(after)) == (Tier.MEMORY, 13.0)


async def test_memory_answers_while_the_replica_is_away() -> None:
    """Step 1 asks nobody."""
    rig = Rig()
    rig.store(99.0)
    await rig.answer()
    rig.fail()

    assert (await rig.answer()).tier is Tier.MEMORY


async def test_a_failing_replica_is_counted_and_reported_where_there_is_nothing_else() -> None:
    """No answer is made up."""
    rig = Rig()
    rig.fail()

    with pytest.raises(StoreUnavailable):
        await rig.answer()

    assert rig.stats.replica_failures == 1


async def test_a_replica_that_is_silent_costs_no_more_than_the_budget() -> None:
    """The caller's time bounds every wait."""
    rig = Rig()
    rig.replica.gate.clear()

    with pytest.raises(DeadlineExceeded):
        await rig.answer(budget_s=0.01)

    rig.replica.gate.set()
    await rig.ladder.live.close()


class TestStaleWhileRevalidate:
    async def test_a_changed_answer_is_given_as_stale_while_the_next_one_is_computed(self) -> None:
        """Within the window nobody waits, and the next caller has the new one."""
        rig = Rig(policy=SWR)
        rig.store(99.0)
        await rig.answer()
        rig.change(1000, v=[7.0, 7.0])
        rig.now_ms += 2000

        stale = await rig.answer()
        await rig.ladder.live.close()
        after = await rig.answer()

        assert (stale.tier, total(stale), stale.fresh_for_ms) == (Tier.STALE, 99.0, -1001)
        assert orjson.loads(stale.body)["stale"] is True
        assert (after.tier, total(after)) == (Tier.MEMORY, 24.0)

    async def test_the_window_ends(self) -> None:
        """An answer that stopped being fresh before the window is not given."""
        rig = Rig(policy=SWR)
        rig.store(99.0)
        await rig.answer()
        rig.change(1000, v=[7.0, 7.0])
        rig.now_ms += 51_001

        assert (await rig.answer()).tier is Tier.LIVE

    async def test_the_window_begins_at_expiry_too(self) -> None:
        """A TTL that has run out is a way of not being fresh like any other."""
        rig = Rig(policy=SWR)
        rig.store(99.0)
        rig.now_ms += 100_000 + 50_000

        stale = await rig.answer()
        await rig.ladder.live.close()

        assert (stale.tier, total(stale)) == (Tier.STALE, 99.0)

    @pytest.mark.parametrize(("changed_ms", "now_ms"), [(None, 120_000), (10_500, 20_000)])
    async def test_the_newest_candidate_is_given(self, changed_ms: int | None, now_ms: int) -> None:
        """The replica may have a newer one than memory, expired or made stale by the same change."""
        rig = Rig(policy=SWR)
        rig.store(98.0)
        await rig.answer()
        rig.store(99.0, computed_ms=10_000, as_of_ms=5000)
        if changed_ms:
            rig.see("thing", "a", changed_ms)
        rig.now_ms += now_ms

        stale = await rig.answer()
        await rig.ladder.live.close()

        assert (stale.tier, total(stale)) == (Tier.STALE, 99.0)

    async def test_a_client_that_wants_no_cache_gets_no_stale_answer(self) -> None:
        """`no-cache` outweighs the window."""
        rig = Rig(policy=SWR)
        rig.store(99.0)
        rig.change(1000, v=[7.0, 7.0])

        assert (await rig.answer(revalidate=True)).tier is Tier.LIVE

    async def test_a_revalidation_that_is_refused_is_counted(self) -> None:
        """Too much load costs the freshness of the next answer, and somebody can see it."""
        rig = Rig(policy=SWR, max_waiting=0)
        rig.store(99.0)
        rig.change(1000, v=[7.0, 7.0])

        answer = await rig.answer()

        assert (answer.tier, rig.stats.revalidations_shed) == (Tier.STALE, 1)

    async def test_an_answer_made_from_a_deleted_row_is_never_given(self) -> None:
        """Somebody may have asked to be forgotten; not even the first request after that sees the old answer."""
        rig = Rig(policy=SWR)
        rig.store(99.0)
        await rig.answer()
        rig.delete(1000)

        with pytest.raises(FeatureMissing, match="no row for thing 'a'"):
            await rig.answer()

        assert rig.memory.get(entry_key("score", 1, "a:p")) is None


class TestInstead:
    async def test_a_failure_is_bridged_by_a_stale_answer(self) -> None:
        """Within `stale_if_error_s`, and never without saying so."""
        rig = Rig(policy=SIE)
        rig.store(99.0)
        await rig.answer()
        rig.change(1000, v=[7.0, 7.0])
        rig.now_ms += 51_000
        rig.fail()

        answer = await rig.answer()

        assert (answer.tier, total(answer)) == (Tier.STALE, 99.0)
        assert orjson.loads(answer.body)["stale"] is True

    async def test_a_stale_entry_of_the_replica_is_kept_for_bad_times(self) -> None:
        """An edge that has seen an old answer can give it when everything fails later."""
        rig = Rig(policy=SIE, max_waiting=0)
        rig.store(99.0)
        rig.change(1000, v=[7.0, 7.0])

        answer = await rig.answer()

        assert (answer.tier, total(answer)) == (Tier.STALE, 99.0)

    async def test_an_answer_that_is_too_old_is_not_given(self) -> None:
        """Beyond the window an honest error is better."""
        rig = Rig(policy=SIE)
        rig.store(99.0)
        await rig.answer()
        rig.change(1000, v=[7.0, 7.0])
        rig.now_ms += 51_001
        rig.fail()

        with pytest.raises(StoreUnavailable):
            await rig.answer()

    async def test_a_deleted_row_is_never_bridged(self) -> None:
        """Whatever fails, an answer made from a deleted row is gone."""
        rig = Rig(policy=SIE)
        rig.store(99.0)
        await rig.answer()
        rig.delete(1000)
        rig.fail()

        with pytest.raises(StoreUnavailable):
            await rig.answer()

    async def test_a_key_that_cannot_be_computed_is_no_failure_to_bridge(self) -> None:
        """A deletion that the follower has not read of yet shows in the row itself."""
        rig = Rig(policy=f"{SIE}, default = {{ sum = 0.5 }}")
        rig.store(99.0)
        await rig.answer()
        rig.replica.delete("thing", "a", 1000)

        with pytest.raises(FeatureMissing):
            await rig.answer(revalidate=True)
        with pytest.raises(FeatureMissing):
            await rig.answer("z:p")

    async def test_the_declared_default_is_the_last_resort(self) -> None:
        """It has the shape of any other answer, and says that it is none."""
        rig = Rig(policy="default = { sum = 0.5 }")
        rig.fail()

        answer = await rig.answer()

        assert (answer.tier, answer.held) == (Tier.DEFAULT, None)
        assert orjson.loads(answer.body) == {
            "model": "score",
            "version": 1,
            "variant": "default",
            "key": "a:p",
            "outputs": {"sum": 0.5},
            "as_of": None,
            "computed_at": None,
            "stale": True,
        }

    async def test_an_older_answer_is_better_than_the_default(self) -> None:
        """It is at least about this key."""
        rig = Rig(policy=f"{SIE}, default = {{ sum = 0.5 }}")
        rig.store(99.0)
        await rig.answer()
        rig.now_ms += 100_000
        rig.fail()

        assert (await rig.answer()).tier is Tier.STALE

    async def test_overload_is_said_where_there_is_nothing_older(self) -> None:
        """A bounded queue that is full is an error with a time to come back."""
        rig = Rig(max_waiting=0)

        with pytest.raises(Overloaded):
            await rig.answer()


async def test_who_asks_after_a_change_is_not_given_a_flight_from_before_it() -> None:
    """A flight has read its rows; a change becomes known; somebody asks and would join that flight.

    What it brings was out of date when they asked, so they get the next one; who asked before gets the first.
    """
    rig = Rig()
    rig.replica.gate.clear()
    early = asyncio.create_task(computed(rig))
    await rig.replica.asked(1)
    rig.change(5, v=[7.0, 7.0])
    late = asyncio.create_task(computed(rig))
    await asyncio.sleep(0)
    assert len(rig.replica.runs) == 1

    rig.replica.gate.set()
    before, after = await early, await late

    assert (total(before), total(after)) == (13.0, 24.0)
    assert after.tier is Tier.LIVE


async def test_what_landed_while_the_replica_was_read_is_not_computed_again() -> None:
    """One caller reads the replica; a flight lands, too late for that read; now there is no flight left to join."""
    rig = Rig()
    late, reading = await slow_reader(rig, "a:p")
    early = await rig.answer()

    reading.set_result([None])
    answer = await late

    assert (early.tier, answer.tier, total(answer)) == (Tier.LIVE, Tier.MEMORY, 13.0)
    assert rig.ladder.live.rows == 1


async def test_that_there_is_no_row_is_not_found_out_twice_either() -> None:
    """The same for a flight that brought no answer."""
    rig = Rig()
    late, reading = await slow_reader(rig, "z:p")
    early = await asyncio.gather(rig.answer("z:p"), return_exceptions=True)

    reading.set_result([None])

    with pytest.raises(FeatureMissing):
        await late
    assert isinstance(early[0], FeatureMissing)
    assert rig.ladder.live.rows == 1


async def slow_reader(rig: Rig, key: str) -> tuple[asyncio.Task[Answer], asyncio.Future[list[bytes | None]]]:
    """A caller whose read of the replica is under way, and that read; others' reads are answered as ever."""
    reading: asyncio.Future[list[bytes | None]] = asyncio.get_running_loop().create_future()
    read = rig.replica.get
    rig.replica.get = lambda _, **__: reading  # type: ignore[method-assign]
    caller = asyncio.create_task(rig.answer(key))
    await asyncio.sleep(0)
    rig.replica.get = read  # type: ignore[method-assign]
    return caller, reading


async def test_a_caller_that_goes_away_takes_nobody_along() -> None:
    """A flight belongs to nobody: the first caller is cancelled in the air, the second gets its result."""
    rig = Rig()
    rig.replica.gate.clear()
    first = asyncio.create_task(computed(rig))
    second = asyncio.create_task(computed(rig))
    await rig.replica.asked(1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    rig.replica.gate.set()
    answer = await second

    assert total(answer) == 13.0
    assert first.cancelled()
    assert rig.ladder.live.batches == 1


async def test_a_caller_out_of_time_takes_nobody_along() -> None:
    """The same for one whose budget ends; what it waited for is kept for the next."""
    rig = Rig()
    rig.replica.gate.clear()
    hasty = asyncio.create_task(computed(rig, budget_s=0.01))
    patient = asyncio.create_task(computed(rig))
    with pytest.raises(DeadlineExceeded):
        await hasty

    rig.replica.gate.set()

    assert total(await patient) == 13.0
    assert (await rig.answer()).tier is Tier.MEMORY


async def test_one_that_is_late_makes_nobody_late_that_came_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two are asked for together and read apart; when time is over one of the reads has no reply yet."""
    rig = Rig()
    monkeypatch.setattr("edge.key_lane.MAX_BATCH", 1)
    silence, run = asyncio.get_running_loop().create_future(), rig.replica.run
    rig.replica.run = lambda commands: silence if rig.replica.runs else run(commands)  # type: ignore[method-assign]

    there, late = await rig.ladder.from_live([rig.ask("a:p", budget_s=0.1), rig.ask("b:p", budget_s=0.1)])

    assert isinstance(there, Answer)
    assert total(there) == 13.0
    assert isinstance(late, DeadlineExceeded)


async def computed(rig: Rig, *, budget_s: float = 5.0) -> Answer:
    """Steps 4 and 5 alone."""
    (answer,) = await rig.ladder.from_live([rig.ask(budget_s=budget_s)])
    if isinstance(answer, Exception):
        raise answer
    return answer
