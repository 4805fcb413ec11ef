"""Whether the replica will have nothing."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from edge.foresight import IN_A_ROW, Foresight
from edge.turn import Turn
from precompute.errors import DeadlineExceeded
from tests.unit.edge.rig import Rig
from tests.unit.edge.test_fetch import Client, Door, until


async def test_it_expects_nothing_after_so_many_had_nothing() -> None:
    """One that had something, and it begins anew."""
    rig, foresight = Rig(), Foresight()
    ask = rig.ask()
    expected = []

    for values in ([None] * (IN_A_ROW - 1), [None], [b"entry", None], [None] * (IN_A_ROW - 2), [None]):
        foresight.learn([ask] * len(values), values)
        expected.append(foresight.expects_nothing([ask, ask]))

    assert expected == [False, True, False, False, True]


async def test_it_speaks_of_one_model_at_a_time() -> None:
    """What is read together for several is computed when all is known."""
    rig, other, foresight = Rig(), Rig(), Foresight()

    foresight.learn([rig.ask()] * IN_A_ROW, [None] * IN_A_ROW)

    assert foresight.expects_nothing([rig.ask(), rig.ask()])
    assert not foresight.expects_nothing([rig.ask(), other.ask()])


async def test_what_may_be_stale_is_looked_at_first() -> None:
    """Such a model answers at once from what memory has, and computes behind that."""
    rig, foresight = Rig(policy="stale_while_revalidate_s = 5.0"), Foresight()

    foresight.learn([rig.ask()] * IN_A_ROW, [None] * IN_A_ROW)

    assert not foresight.expects_nothing([rig.ask()])


def foreseeing(*, policy: str = "", budget_ms: float = 5000.0) -> Door:
    """A door whose replica has had nothing for a while, and does not answer now."""
    door = Door(policy=policy, budget_ms=budget_ms)
    ask = door.rig.ask()
    door.fetch._foresight.learn([ask] * IN_A_ROW, [None] * IN_A_ROW)
    door.rig.replica.gate.clear()
    return door


async def test_rows_are_read_while_the_replica_is_asked_for_entries() -> None:
    """One trip for both; everybody gets their own answer, and each key is computed once."""
    door = foreseeing()
    clients = [Client(door) for _ in range(3)]

    for client, key in zip(clients, ["a:p", "b:p", "a:p"], strict=True):
        client.ask(key)
    await until(lambda: door.rig.replica.gets == 1)
    asked_for_rows = len(door.rig.replica.runs)
    door.rig.replica.gate.set()
    await until(lambda: all(client.answers for client in clients))

    assert asked_for_rows == 1
    assert [client.answers for client in clients] == [[(b"200", "live")]] * 3
    assert [client.total for client in clients] == [13.0, 17.0, 13.0]
    assert door.rig.ladder.live.rows == 2
    assert all(b"nearcast-memory; fwd=uri-miss" in client.transport.written[-1] for client in clients)


async def test_an_entry_that_is_there_after_all_is_answered_with() -> None:
    """Its row was read in vain; the others' were not, and the next request is not foreseen."""
    door = foreseeing()
    door.rig.store(99.0)
    clients = [Client(door), Client(door)]

    for client, key in zip(clients, ["a:p", "b:p"], strict=True):
        client.ask(key)
    await until(lambda: door.rig.replica.gets == 1)
    door.rig.replica.gate.set()
    await until(lambda: all(client.answers for client in clients))

    assert clients[0].answers == [(b"200", "replica")]
    assert [client.total for client in clients] == [99.0, 17.0]
    assert (door.rig.ladder.live.rows, door.rig.stats.foreseen_in_vain) == (2, 1)
    assert not door.fetch._foresight.expects_nothing([door.rig.ask()])


async def test_what_landed_while_a_turn_gathered_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory had nothing when the request came; by the time it is read for, somebody else's flight has landed."""
    door = foreseeing()
    client = Client(door)
    door.rig.replica.gate.set()

    answering = asyncio.create_task(door.rig.answer())
    monkeypatch.setattr(Turn, "is_complete", lambda _: answering.done())
    client.ask("a:p")
    await until(partial(client.has_answers, 1))

    assert client.answers == [(b"200", "memory")]
    assert door.rig.ladder.live.rows == 1


async def test_what_cannot_be_begun_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks learns nothing of it."""
    door = foreseeing()
    monkeypatch.setattr(door.fetch._foresight, "expects_nothing", lambda asks: True)
    begin, failures = door.rig.ladder.begin, [ValueError("no")]
    monkeypatch.setattr(door.rig.ladder, "begin", lambda asks, **_: _begin(begin, failures, asks))
    client = Client(door)

    client.ask("a:p")
    door.rig.replica.gate.set()
    await until(partial(client.has_answers, 1))

    assert client.answers == [(b"200", "live")]
    assert not failures


def _begin(begin: object, failures: list[ValueError], asks: object) -> object:
    if failures:
        raise failures.pop()
    return begin(asks)  # type: ignore[operator]


async def test_a_deleted_rows_prediction_leaves_memory_before_it_is_known_whether_there_is_another() -> None:
    """Even if nothing comes of that."""
    rig = Rig(policy="stale_if_error_s = 1000.0")
    await rig.answer()
    rig.delete(5)
    rig.replica.gate.clear()

    (outcome,) = await rig.ladder.landed(rig.ladder.begin([rig.ask(budget_s=0.01)]))

    assert isinstance(outcome, DeadlineExceeded)
    assert len(rig.memory) == 0
    rig.replica.gate.set()
    await asyncio.wait_for(rig.ladder.live.close(), 5.0)
