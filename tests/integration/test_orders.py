"""Orders and forgetting on a real Redis, of each version that there is."""

from __future__ import annotations

import pytest

from precompute import orders
from precompute.features import Features, Row
from precompute.forget import forget
from precompute.keys import ORDERS, log_key
from precompute.orders import HotKey, OneEntity, OneKey, WholeModel
from precompute.store import Store
from precompute.updates import LogState
from tests.unit.precompute.test_orders import PROJECT

pytestmark = pytest.mark.integration


def test_an_order_is_one_record_and_is_remembered(store: Store) -> None:
    """Newest first, each with the id of its record."""
    given = [
        orders.give(store, what, who="ann@host", why=f"reason {n}", now_ms=n)
        for n, what in enumerate([WholeModel("late"), OneKey("late", "UA1:EWR?hour=3"), OneEntity("weather", "EWR")])
    ]

    names = {log: [fields for _, fields in store.call("XRANGE", log_key(log), "-", "+")] for log in (ORDERS, "weather")}
    assert names == {ORDERS: [[b"e", b"late"], [b"e", b"late/UA1:EWR?hour=3"]], "weather": [[b"e", b"EWR"]]}
    assert orders.recent(store) == given[::-1]
    assert orders.recent(store, 1) == given[:1:-1]
    assert LogState.parse(store.call("XINFO", "STREAM", log_key("weather"))).length == 1


def test_an_order_touches_no_row(store: Store) -> None:
    """The row of an invalidated entity stands as it did."""
    features = Features(store, PROJECT)
    features.put("weather", [Row("EWR", {"x": 1.0}, 1)])
    before = features.get("weather", ["EWR"])

    orders.give(store, OneEntity("weather", "EWR"), who="", why="", now_ms=0)

    assert features.get("weather", ["EWR"]) == before


def test_old_orders_leave_the_log(store: Store) -> None:
    """By the primary's clock, as records of changes do."""
    log = log_key(ORDERS)
    store.run([("XADD", log, f"{n}-1", "e", "late") for n in range(1, 400)])

    store.call(*orders.append_command(WholeModel("late"), retention_s=60))

    assert store.call("XLEN", log) < 200


def test_the_list_of_orders_is_bounded(store: Store) -> None:
    """The oldest give way."""
    order = orders.given(WholeModel("late"), b"1-1", who="", why="", now_ms=0)
    for _ in range(orders.PAST + 5):
        store.run(orders.note_commands(order))

    assert len(orders.recent(store, 10 * orders.PAST)) == orders.PAST


def test_wishes_to_recompute_are_taken_oldest_first(store: Store) -> None:
    """And put back at the front."""
    store.run(orders.refresh_commands([HotKey("late", "a", 1.0), HotKey("storm", "b", 1.0)]))

    first = orders.take_refresh(store)
    orders.put_back(store, "late", ["rest"])

    assert first == ("late", ["a"])
    assert [orders.take_refresh(store) for _ in range(3)] == [("late", ["rest"]), ("storm", ["b"]), None]


def test_predictions_of_a_deleted_row_are_removed(store: Store) -> None:
    """All versions and models that were made from it, and nothing else, among many keys."""
    others = [f"p:late:1:UA{n}:JFK?hour=12" for n in range(3000)] + ["f:{weather}:EWR", "hot:{late}"]
    made = [f"p:late:{n % 3}:UA{n}:EWR?hour={n % 24}" for n in range(500)] + ["p:storm:7:EWR"]
    store.run([("SET", name, "x") for name in [*others, *made]])
    seen: list[tuple[float | None, int]] = []

    result = forget(store, PROJECT, "weather", ["EWR"], lambda share, count: seen.append((share, count)))

    assert result.removed == len(made)
    assert result.seen >= 3501
    assert store.call("DBSIZE") == len(others)
    assert seen[-1][0] == 1.0
