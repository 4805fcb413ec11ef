"""What an order means, and what it is about."""

from __future__ import annotations

import msgspec
import pytest

from precompute import orders
from precompute.errors import InvalidKey, InvalidRequest, UnknownModel, UnknownView
from precompute.keys import ORDERED_REFRESHES, ORDERS, ORDERS_PAST, log_key
from precompute.manifest import parse
from precompute.orders import HotKey, OneEntity, OneKey, WholeModel

PROJECT = parse(
    """
[project]
name = "orders"
[views.flight.fields]
x = "float32"
[views.weather.fields]
x = "float32"
[models.late]
key = ["flight", "origin"]
views = { flight = "{flight}", weather = "{origin}" }
inputs = { x = ["flight.x", "weather.x"] }
context = { hour = { type = "int64", default = 12 } }
[models.storm]
key = ["weather"]
inputs = { x = ["weather.x"] }
"""
)


def flat(*pairs: tuple[str, float]) -> list[bytes]:
    """A sorted set with its scores, as Redis gives it."""
    return [piece for key, rate in pairs for piece in (key.encode(), str(rate).encode())]


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        ({"model": "late"}, WholeModel("late")),
        ({"model": "late", "everything": True}, WholeModel("late")),
        ({"model": "late", "key": "UA1:EWR"}, OneKey("late", "UA1:EWR?hour=12")),
        ({"model": "late", "key": "UA1:EWR?hour=3"}, OneKey("late", "UA1:EWR?hour=3")),
        ({"view": "weather", "entity": "New York"}, OneEntity("weather", "New~20York")),
    ],
)
def test_an_order_names_a_model_a_key_or_an_entity(named: dict[str, object], meant: orders.Target) -> None:
    """Keys and entities in their canonical spelling, as their records have them."""
    assert orders.target(PROJECT, **named) == meant  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("named", "error"),
    [
        ({}, InvalidRequest),
        ({"model": "late", "view": "weather"}, InvalidRequest),
        ({"model": "late", "entity": "EWR"}, InvalidRequest),
        ({"model": "late", "key": "UA1:EWR", "everything": True}, InvalidRequest),
        ({"view": "weather"}, InvalidRequest),
        ({"view": "weather", "entity": "EWR", "key": "x"}, InvalidRequest),
        ({"view": "weather", "entity": "EWR", "everything": True}, InvalidRequest),
        ({"entity": "EWR"}, InvalidRequest),
        ({"model": "early"}, UnknownModel),
        ({"view": "tides", "entity": "EWR"}, UnknownView),
        ({"model": "late", "key": "UA1"}, InvalidKey),
        ({"view": "weather", "entity": ""}, InvalidKey),
    ],
)
def test_what_makes_no_sense_is_refused(named: dict[str, object], error: type[Exception]) -> None:
    """Before anything has become stale."""
    with pytest.raises(error):
        orders.target(PROJECT, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "log", "name"),
    [
        (WholeModel("late"), ORDERS, "late"),
        (OneKey("late", "UA1:EWR?hour=3"), ORDERS, "late/UA1:EWR?hour=3"),
        (OneEntity("weather", "EWR"), "weather", "EWR"),
    ],
)
def test_an_order_is_a_record_that_predictions_watch(what: orders.Target, log: str, name: str) -> None:
    """In the log and under the name that `Model.watched` says."""
    command = orders.append_command(what, retention_s=2)

    model = PROJECT.model("late")
    watched = zip(model.watched_views, model.watched(model.parse_key("UA1:EWR?hour=3")), strict=True)
    assert command[2:] == (1, log_key(log), 2000, name)
    assert (log, name) in watched


@pytest.mark.parametrize(
    ("what", "found"),
    [
        (WholeModel("late"), ["UA1:EWR?hour=12", "UA2:JFK?hour=12", "UA1:EWR?hour=3", "no key"]),
        (OneKey("late", "UA1:EWR?hour=3"), ["UA1:EWR?hour=3"]),
        (OneEntity("flight", "UA1"), ["UA1:EWR?hour=12", "UA1:EWR?hour=3"]),
        (OneEntity("weather", "EWR"), ["EWR", "UA1:EWR?hour=12", "UA1:EWR?hour=3"]),
        (OneEntity("weather", "LGA"), []),
    ],
)
def test_the_hot_predictions_behind_an_order_come_hottest_first(what: orders.Target, found: list[str]) -> None:
    """Of all models that read the view; what is no key any more depends on nothing."""
    hot = {
        "late": flat(("UA1:EWR?hour=12", 5), ("UA2:JFK?hour=12", 4), ("UA1:EWR?hour=3", 3), ("no key", 2)),
        "storm": flat(("EWR", 9)),
    }
    commands = orders.hot_commands(PROJECT, what, 100)
    replies = [hot["late" if "late" in str(command[1]) else "storm"] for command in commands]

    behind = orders.hot_behind(PROJECT, what, replies)

    assert [key.key for key in behind] == found


def test_an_order_is_remembered_with_who_and_why() -> None:
    """Long texts are cut off, and so is the list."""
    order = orders.given(OneEntity("weather", "EWR"), b"5-0", who="ann@host", why="x" * 1000, now_ms=7, hot_keys=3)
    push, trim = orders.note_commands(order)

    noted = msgspec.json.decode(push[2], type=orders.Order)
    assert (noted.update_id, noted.view, noted.entity, noted.model) == ("5-0", "weather", "EWR", None)
    assert (noted.who, len(noted.why), noted.at_ms, noted.hot_keys) == ("ann@host", orders.MAX_TEXT, 7, 3)
    assert trim == ("LTRIM", ORDERS_PAST, 0, orders.PAST - 1)


def test_a_report_names_the_hottest() -> None:
    """And says whether anything was done."""
    hot = [HotKey("late", f"UA{n}:EWR", 100.0 - n) for n in range(50)]

    report = orders.report(WholeModel("late"), hot, None)

    assert (report["hot_keys"], report["given"], report["order"]) == (50, False, None)
    assert report["first"] == [{"model": "late", "key": f"UA{n}:EWR", "requests_per_s": 100.0 - n} for n in range(10)]


def test_wishes_to_recompute_are_bounded() -> None:
    """So many keys to a message, and so many messages in the list."""
    hot = [HotKey("late", f"k{n}", 1.0) for n in range(2500)] + [HotKey("storm", "EWR", 1.0)]

    *pushes, trim = orders.refresh_commands(hot)

    assert [len(msgspec.json.decode(push[2])[1]) for push in pushes] == [1000, 1000, 500, 1]
    assert trim[:2] == ("LTRIM", ORDERED_REFRESHES)
    assert orders.refresh_commands([]) == []
