"""Explanations, held against what the ladder then does."""

from __future__ import annotations

from typing import Any

import pytest

from edge.api.why import Why
from precompute.errors import NearcastError
from precompute.keys import ORDERS, entry_key
from tests.unit.edge.rig import EPOCH, FakeReplica, Rig


class Registry:
    """As much of `Serving` as is asked."""

    def __init__(self, rig: Rig) -> None:
        self.project = rig.project

    def ready(self, model: str) -> list[int]:
        return [1]

    async def awake(self, _: object) -> None:
        pass


class _Connected:
    is_connected = True


def _reply(self: FakeReplica, command: tuple[object, ...]) -> object:
    """What only an explanation asks: nobody has asked for anything yet."""
    match command:
        case ("GET", key):
            return self.values.get(str(key))
        case ("PTTL", key):
            return 5000 if str(key) in self.values else -2
        case ("ZSCORE", _, "a:p"):
            return b"2.5"
        case ("ZREVRANK", _, "a:p"):
            return 0
        case ("ZSCORE" | "ZREVRANK" | "HGET", *_):
            return None
    return _plain_reply(self, command)


_plain_reply: Any = FakeReplica._reply


@pytest.fixture(autouse=True)
def _explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeReplica, "_reply", _reply)
    monkeypatch.setattr(FakeReplica, "link", _Connected(), raising=False)


async def explain(rig: Rig, key: str = "a:p") -> Any:
    """The explanation of one key."""
    why = Why(
        rig.ladder,
        Registry(rig),  # type: ignore[arg-type]
        rig.replica,  # type: ignore[arg-type]
        rig.freshness,
        lambda: rig.lag_s,
        lambda: rig.now_ms,
    )
    return await why._explain(rig.predictor, rig.servable.model.parse_key(key))


def tiers(document: Any) -> dict[str, Any]:
    """The tiers by name, stale ones by the setting that allows them."""
    return {tier.get("setting", tier["tier"]): tier for tier in document["tiers"]}


def reasons(document: Any, tier: str) -> list[str]:
    """Why a tier does not answer."""
    return [reason["reason"] for reason in tiers(document)[tier]["reasons"]]


async def _keep_in_memory(rig: Rig) -> None:
    await rig.answer()


async def _store_in_replica(rig: Rig) -> None:
    rig.store(99.0)


async def _nothing(rig: Rig) -> None:
    pass


async def _change(rig: Rig) -> None:
    await rig.answer()
    rig.now_ms += 1000
    rig.change(5, v=[0.0, 0.0])


async def _expire(rig: Rig) -> None:
    await rig.answer()
    rig.now_ms += 101_000


async def _order(rig: Rig) -> None:
    await rig.answer()
    rig.see(ORDERS, "score/a:p", 5)


async def _fall_behind(rig: Rig) -> None:
    await rig.answer()
    rig.lag_s = 11.0


async def _change_history(rig: Rig) -> None:
    await rig.answer()
    rig.freshness.epoch = EPOCH + 1


async def _delete(rig: Rig) -> None:
    await rig.answer()
    rig.delete(5)


async def _lose_replica(rig: Rig) -> None:
    await rig.answer()
    rig.now_ms += 1000
    rig.see("thing", "a", 5)
    rig.fail()


async def _corrupt(rig: Rig) -> None:
    rig.replica.values[entry_key("score", 1, "a:p")] = b"rubbish"


SITUATIONS = [
    _nothing, _keep_in_memory, _store_in_replica, _change, _expire, _order, _fall_behind, _change_history, _delete,
    _lose_replica, _corrupt,
]  # fmt: skip
POLICIES = {
    "strict": "",
    "revalidates": "stale_while_revalidate_s = 50.0",
    "forgives": "stale_if_error_s = 50.0",
    "guesses": "default = { sum = 0.0 }",
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("situation", SITUATIONS)
async def test_what_would_answer_is_what_answers(situation: Any, policy: str) -> None:
    """In every situation and under every policy, the ladder does what was foretold."""
    rig = Rig(policy=POLICIES[policy])
    await situation(rig)

    foretold = (await explain(rig))["would_answer"]
    try:
        answered: str = (await rig.answer()).tier
    except NearcastError:
        answered = "error"

    assert answered == foretold


@pytest.mark.parametrize("situation", SITUATIONS)
async def test_looking_changes_nothing(situation: Any) -> None:
    """No request is counted, nothing is kept or written back, and no flight has started."""
    rig = Rig(policy=POLICIES["revalidates"])
    await situation(rig)
    rows, entries, offered = rig.ladder.live.rows, len(rig.memory), len(rig.write_back.offered)

    await explain(rig)
    await explain(rig, "nobody:p")

    assert (rig.ladder.live.rows, len(rig.memory), len(rig.write_back.offered)) == (rows, entries, offered)
    assert (rig.ladder.live.waiting, len(rig.ladder.absent)) == (0, 0)
    assert rig.replica.gets <= 1


@pytest.mark.parametrize(
    ("situation", "found"),
    [
        (_nothing, ["absent"]),
        (_keep_in_memory, []),
        (_change, ["changed"]),
        (_expire, ["expired"]),
        (_order, ["changed"]),
        (_fall_behind, ["behind"]),
        (_change_history, ["unknown-epoch"]),
    ],
)
async def test_memory_says_why_it_does_not_answer(situation: Any, found: list[str]) -> None:
    """One reason for each question that the ladder asks."""
    rig = Rig()
    await situation(rig)

    assert reasons(await explain(rig), "memory") == found


async def test_a_change_is_named_with_its_entity_and_time() -> None:
    """Which dependency, by which record."""
    rig = Rig()
    await _change(rig)

    document = await explain(rig)

    (reason,) = tiers(document)["memory"]["reasons"]
    assert (reason["view"], reason["entity"], reason["id"]) == ("thing", "a", "1800000000005-0")
    thing, place = document["dependencies"]
    assert (thing["changed_since"], place["changed_since"]) == (True, False)
    assert (thing["as_of"], thing["row"]["changed"]["id"]) == ("1800000000000-0", "1800000000005-0")
    assert "note" not in thing


async def test_an_order_is_told_from_a_change_of_the_row() -> None:
    """A row older than the prediction cannot be what made it stale."""
    rig = Rig()
    await rig.answer()
    rig.see("thing", "a", 5)

    document = await explain(rig)
    rig.see(ORDERS, "score", 6)
    whole_model = await explain(rig)

    assert "invalidated by hand" in document["dependencies"][0]["note"]
    assert {"reason": "changed", "ordered": "model"}.items() <= tiers(whole_model)["memory"]["reasons"][1].items()


async def test_a_missing_row_is_named() -> None:
    """As what live inference would say; once memory knows, memory says so."""
    rig = Rig()

    before = await explain(rig, "nobody:p")
    with pytest.raises(NearcastError):
        await rig.answer("nobody:p")
    after = await explain(rig, "nobody:p")

    assert (before["would_answer"], reasons(before, "live")) == ("error", ["cannot-compute"])
    assert [d["row"]["present"] for d in before["dependencies"]] == [False, True]
    assert (after["would_answer"], reasons(after, "memory")) == ("error", ["no-row"])


async def test_an_entry_made_from_a_deleted_row_is_not_even_stale() -> None:
    """Whatever the policy allows."""
    rig = Rig(policy=POLICIES["forgives"])
    await _delete(rig)

    document = await explain(rig)

    assert (document["would_answer"], reasons(document, "stale_if_error_s")) == ("error", ["deleted"])


async def test_a_replica_that_is_away_is_part_of_the_answer() -> None:
    """An explanation is wanted most when something is broken."""
    rig = Rig(policy=POLICIES["forgives"])
    await _lose_replica(rig)

    document = await explain(rig)

    assert (document["would_answer"], reasons(document, "replica")) == ("stale", ["unreachable"])
    assert document["dependencies"][0]["row"] == {"present": None}


async def test_hotness_and_the_next_refresh_are_told() -> None:
    """A hot key is recomputed before its TTL ends; others when somebody asks."""
    rig = Rig()
    rig.store(99.0)

    hot, cold = await explain(rig), await explain(rig, "b:p")

    assert hot["hotness"] == {"requests_per_s": 2.5, "rank": 1, "model_requests_per_s": 0.0}
    assert hot["next_refresh"]["expected_by"] == "2027-01-15T08:01:40.000Z"
    assert (cold["hotness"]["rank"], cold["next_refresh"]["expected_by"]) == (None, None)
