"""Keys without rows, remembered under the same rule as predictions."""

from __future__ import annotations

import pytest

from edge.absent import SHARE
from edge.memory import OVERHEAD_BYTES
from edge.stats import Tier
from precompute.errors import FeatureMissing
from precompute.keys import ORDERS
from tests.unit.edge.rig import EPOCH, Rig

UNKNOWN = "nobody:p"


async def refused(rig: Rig, key: str = UNKNOWN, *, revalidate: bool = False) -> FeatureMissing:
    """The failure of an ask that must fail."""
    with pytest.raises(FeatureMissing) as caught:
        await rig.answer(key, revalidate=revalidate)
    return caught.value


async def test_a_key_without_a_row_is_looked_up_once() -> None:
    """Asking again costs no read, and says the same."""
    rig = Rig()

    first = await refused(rig)
    again = [await refused(rig) for _ in range(3)]

    assert (rig.replica.gets, len(rig.replica.runs)) == (1, 1)
    assert {str(error) for error in again} == {str(first)}
    assert rig.ladder.absent.hits == 3


async def test_the_answer_is_there_as_soon_as_the_row_is() -> None:
    """The record of the put makes what was remembered stale, however long its TTL."""
    rig = Rig(policy="negative_ttl_s = 3600.0")
    await refused(rig)

    rig.replica.put("thing", "nobody", 5, v=[1.0, 1.0])
    rig.see("thing", "nobody", 5)
    answer = await rig.answer(UNKNOWN)

    assert answer.tier is Tier.LIVE


async def test_it_is_looked_up_again_after_its_time() -> None:
    """So that nothing unforeseen lasts longer than that."""
    rig = Rig(policy="negative_ttl_s = 2.0")
    await refused(rig)

    rig.now_ms += 1999
    await refused(rig)
    reads_before = len(rig.replica.runs)
    rig.now_ms += 1
    await refused(rig)

    assert (reads_before, len(rig.replica.runs)) == (1, 2)


@pytest.mark.parametrize("cause", ["order for the key", "order for the model", "another history", "a floor above it"])
async def test_what_makes_a_prediction_unsure_makes_this_unsure(cause: str) -> None:
    """Orders by hand, a new epoch and a raised floor all mean another look."""
    rig = Rig()
    await refused(rig)

    match cause:
        case "order for the key":
            rig.see(ORDERS, "score/" + UNKNOWN, 5)
        case "order for the model":
            rig.see(ORDERS, "score", 5)
        case "another history":
            rig.freshness.epoch = EPOCH + 1
        case _:
            rig.freshness.tables["thing"].floor = 1 << 62
    await refused(rig)

    assert len(rig.replica.runs) == 2


async def test_a_replica_too_far_behind_proves_no_absence() -> None:
    """The row may have come without us knowing."""
    rig = Rig()
    await refused(rig)

    rig.lag_s = 10.1
    await refused(rig)

    assert len(rig.replica.runs) == 2


async def test_a_client_that_wants_nothing_remembered_gets_another_look() -> None:
    """`Cache-Control: no-cache` means this as well."""
    rig = Rig()
    await refused(rig)

    await refused(rig, revalidate=True)

    assert len(rig.replica.runs) == 2


async def test_a_model_may_do_without() -> None:
    """`negative_ttl_s = 0` remembers nothing."""
    rig = Rig(policy="negative_ttl_s = 0.0")

    await refused(rig)
    await refused(rig)

    assert (len(rig.replica.runs), len(rig.ladder.absent)) == (2, 0)


async def test_invented_keys_push_out_no_prediction() -> None:
    """They have a small part of the memory to themselves, and displace one another."""
    rig = Rig(max_bytes=64_000)
    await rig.answer()

    for n in range(200):
        await refused(rig, f"nobody{n}:p")

    assert len(rig.ladder.absent) * OVERHEAD_BYTES <= 64_000 // SHARE
    assert (await rig.answer()).tier is Tier.MEMORY


async def test_a_deleted_rows_prediction_leaves_memory_when_it_is_met() -> None:
    """Even where the replica cannot be asked for anything better."""
    rig = Rig(policy="stale_if_error_s = 1000.0")
    await rig.answer()

    rig.delete(5)
    rig.fail()
    with pytest.raises(Exception, match="away"):
        await rig.answer()

    assert len(rig.memory) == 0
