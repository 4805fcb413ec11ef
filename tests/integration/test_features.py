"""Rows and their update log in a real Redis: the newest event wins, every change is logged, nothing else is."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np
import pytest

from deploy.local.redis_pair import RedisPair
from precompute.errors import ConfigError, RowRejected, StoreUnavailable, UnknownView
from precompute.features import MAX_EVENT_MS, SCRIPT_ROWS, Features, Row
from precompute.keys import layout_key, log_key, row_key
from precompute.layouts import Layouts
from precompute.manifest import Project, parse
from precompute.rows import Layout
from precompute.store import Store
from precompute.updates import change_id

pytestmark = pytest.mark.integration

PROJECT = parse("""
[project]
name = "p"
[views.weather.fields]
temp = { type = "float32", missing = "nan" }
wind = "int32"
sky = { type = "string", default = "clear" }
""")
CALM: Mapping[str, object] = {"temp": 1.5, "wind": 0, "sky": "clear"}


def _row(entity: str = "JFK", event_ms: int = 1000, **values: object) -> Row:
    return Row(entity, {**CALM, **values}, event_ms)


def _log(store: Store, view: str = "weather") -> list[str]:
    """Entities of all log records, oldest first."""
    return [fields[1].decode() for _, fields in store.call("XRANGE", log_key(view), "-", "+")]


@pytest.fixture
def features(store: Store) -> Features:
    """The rows of the project on the emptied primary."""
    return Features(store, PROJECT)


def test_a_row_reads_back_with_its_times(features: Features, store: Store) -> None:
    """Values, event time and the id of its log record."""
    result = features.put("weather", [_row(temp=None, sky="rain é", event_ms=1234)])

    (row,) = features.get("weather", ["JFK"])

    assert result.written == 1
    assert row is not None
    assert (row.entity, row.values) == ("JFK", {"temp": None, "wind": 0, "sky": "rain é"})
    ((record, _),) = store.call("XRANGE", log_key("weather"), "-", "+")
    assert (row.stamp.event_ms, row.stamp.update_id) == (1234, change_id(record))


def test_the_newest_event_wins(features: Features, store: Store) -> None:
    """An older event changes nothing and is counted as late; a newer one, or one of the same time, wins."""
    features.put("weather", [_row(wind=1, event_ms=2000)])

    late = features.put("weather", [_row(wind=2, event_ms=1999)])
    after_late = features.get("weather", ["JFK"])[0]
    same = features.put("weather", [_row(wind=3, event_ms=2000)])
    newer = features.put("weather", [_row(wind=4, event_ms=2001)])

    assert (late.late, late.written, same.written, newer.written) == (1, 0, 1, 1)
    assert after_late is not None
    assert (after_late.values["wind"], after_late.stamp.event_ms) == (1, 2000)
    assert features.get("weather", ["JFK"])[0].values["wind"] == 4  # type: ignore[union-attr]
    assert _log(store) == ["JFK"] * 3


def test_times_before_1970_have_their_order_too(features: Features) -> None:
    """Negative milliseconds compare as numbers, not as bytes."""
    features.put("weather", [_row(wind=1, event_ms=-5)])

    assert features.put("weather", [_row(wind=2, event_ms=-6)]).late == 1
    assert features.put("weather", [_row(wind=3, event_ms=1)]).written == 1
    assert features.put("weather", [_row(wind=4, event_ms=-1)]).late == 1


def test_equal_values_move_the_time_and_log_nothing(features: Features, store: Store) -> None:
    """An update without a change makes no prediction stale, and still outdates older events."""
    features.put("weather", [_row(event_ms=1000)])
    before = features.get("weather", ["JFK"])[0]

    unchanged = features.put("weather", [_row(event_ms=5000)])
    late = features.put("weather", [_row(wind=9, event_ms=3000)])

    after = features.get("weather", ["JFK"])[0]
    assert (unchanged.unchanged, unchanged.written, late.late) == (1, 0, 1)
    assert before is not None
    assert after is not None
    assert (after.stamp.event_ms, after.stamp.update_id) == (5000, before.stamp.update_id)
    assert after.values == before.values
    assert _log(store) == ["JFK"]


def test_deleting_is_a_change(features: Features, store: Store) -> None:
    """A row that is forgotten is gone and logged; one that was not there is neither."""
    features.put("weather", [_row()])

    result = features.delete("weather", ["JFK", "LGA"])

    assert (result.deleted, result.absent) == (1, 1)
    assert features.get("weather", ["JFK", "LGA"]) == [None, None]
    assert store.call("EXISTS", row_key("weather", "JFK")) == 0
    assert _log(store) == ["JFK", "JFK"]


def test_a_bad_row_costs_no_other(features: Features) -> None:
    """Rejects are named by position with a reason; all others are stored."""
    rows = [
        _row("A"),
        Row("B", {"temp": 1.0}, 1),
        _row("C", wind=2**31),
        _row("", wind=1),
        _row("D", event_ms=MAX_EVENT_MS * 1000),
        _row("E", event_ms=None),  # type: ignore[arg-type]
        _row("F" * 600),
        _row("G\ud800"),
        _row(7),  # type: ignore[arg-type]
        _row("Z"),
    ]

    result = features.put("weather", rows)

    assert result.written == 2
    assert [row is not None for row in features.get("weather", ["A", "Z"])] == [True, True]
    reasons = dict(result.rejected)
    assert list(reasons) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert "weather.wind (int32) is missing" in reasons[1]
    assert "2147483648 does not fit a int32" in reasons[2]
    assert "is empty" in reasons[3]
    assert "not in milliseconds" in reasons[4]
    assert "longer than 512 bytes" in reasons[6]
    assert "surrogate" in reasons[7]
    assert "not a string" in reasons[8]


def test_an_event_from_the_future_is_refused(store: Store) -> None:
    """Beyond the declared skew, it would make all that come before its time look late; up to it, clocks may differ."""
    project = parse("""
[project]
name = "p"
[views.weather]
max_skew_s = 5
[views.weather.fields]
temp = "float32"
""")
    features = Features(store, project, now_ms=lambda: 1_000_000)

    result = features.put("weather", [Row("A", {"temp": 1.0}, 1_005_000), Row("B", {"temp": 1.0}, 1_005_001)])

    assert result.written == 1
    ((position, reason),) = result.rejected
    assert position == 1
    assert reason.startswith("event time 1970-01-01T00:16:45.001Z lies in the future; the view allows 5 s (max_skew_s)")


def test_entities_are_stored_as_keys_spell_them(features: Features, store: Store) -> None:
    """An entity with special characters is one row, however it is written, and the log names it the same way."""
    features.put("weather", [_row("a b:é"), _row("a~20b~3aé", wind=5, event_ms=2000)])

    assert store.call("EXISTS", "f:{weather}:a~20b~3Aé") == 1
    assert features.get("weather", ["a b:é"])[0].values["wind"] == 5  # type: ignore[union-attr]
    assert _log(store) == ["a~20b~3Aé"] * 2


def test_many_rows_go_in_slices(features: Features, store: Store) -> None:
    """More rows than one script call takes, some of them twice, in order."""
    count = 2 * SCRIPT_ROWS + 7
    rows = [_row(f"e{i % count}", wind=i, event_ms=1000 + i) for i in range(count + 5)]

    result = features.put("weather", rows)

    assert (result.written, result.rejected) == (count + 5, [])
    found = features.get("weather", [f"e{i}" for i in range(count)])
    assert [row.values["wind"] for row in found if row] == [count + i if i < 5 else i for i in range(count)]
    assert len(_log(store)) == count + 5


@pytest.mark.parametrize("before", ["SCRIPT", "restart"])
def test_a_server_that_forgot_the_script_is_taught_again(
    features: Features, store: Store, any_redis: RedisPair, before: str
) -> None:
    """After SCRIPT FLUSH or a restart nothing is lost and nothing done twice."""
    features.put("weather", [_row()])
    if before == "SCRIPT":
        store.call("SCRIPT", "FLUSH")
    else:
        any_redis.restart_primary()
        store.close()

    result = features.put("weather", [_row(f"e{i}") for i in range(3 * SCRIPT_ROWS)])

    assert result.written == 3 * SCRIPT_ROWS
    assert store.call("XLEN", log_key("weather")) == 3 * SCRIPT_ROWS + (before == "SCRIPT")


def test_the_log_forgets_what_is_older_than_the_retention(store: Store) -> None:
    """Old records go as new ones come; the rows stay."""
    for i in range(1000):
        store.call("XADD", log_key("weather"), f"{1000 + i}-0", "e", "old")
    features = Features(store, PROJECT, retention_s=60)

    features.put("weather", [_row()])

    kept = _log(store)
    assert kept[-1] == "JFK"
    # Redis trims whole nodes, of 100 records by default.
    assert len(kept) <= 101
    assert store.call("EXISTS", row_key("weather", "JFK")) == 1


def test_the_log_keeps_what_is_younger(store: Store) -> None:
    """Nothing within the retention is trimmed, however much there is."""
    features = Features(store, PROJECT, retention_s=3600)

    for i in range(30):
        features.put("weather", [_row(f"e{j}", wind=i, event_ms=1000 + i) for j in range(50)])

    assert store.call("XLEN", log_key("weather")) == 1500


def test_a_full_server_loses_nothing_silently(features: Features, store: Store) -> None:
    """Rows that Redis refuses are an error, and putting them again when there is room stores them all."""
    rows = [_row(f"e{i}") for i in range(250)]
    store.call("CONFIG", "SET", "maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable, match="OOM"):
            features.put("weather", rows)
    finally:
        store.call("CONFIG", "SET", "maxmemory", 0)

    again = features.put("weather", rows)

    assert again.written + again.unchanged == 250
    assert all(features.get("weather", [f"e{i}" for i in range(250)]))


def test_writers_at_the_same_time_leave_the_newest_event(any_redis: RedisPair, store: Store) -> None:
    """Four writers of the same rows in different orders: everybody ends with the same, newest values."""

    def write(seed: int) -> None:
        mine = Store(any_redis.primary_url)
        order = np.random.default_rng(seed).permutation(200)
        Features(mine, PROJECT).put("weather", [_row(f"e{i % 10}", wind=int(i), event_ms=int(i)) for i in order])
        mine.close()

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = Features(store, PROJECT).get("weather", [f"e{i}" for i in range(10)])
    assert [row.values["wind"] for row in found if row] == [190 + i for i in range(10)]
    assert [row.stamp.event_ms for row in found if row] == [190 + i for i in range(10)]


def test_views_do_not_share_rows_or_logs(store: Store) -> None:
    """The same entity in two views is two rows."""
    project = parse("[project]\nname='p'\n[views.a.fields]\nx='int32'\n[views.b.fields]\nx='int32'\n")
    features = Features(store, project)

    features.put("a", [Row("e", {"x": 1}, 1)])
    features.put("b", [Row("e", {"x": 2}, 1)])
    features.delete("a", ["e"])

    assert features.get("a", ["e"]) == [None]
    assert features.get("b", ["e"])[0].values == {"x": 2}  # type: ignore[union-attr]
    assert (_log(store, "a"), _log(store, "b")) == (["e", "e"], ["e"])


def test_an_unknown_view_is_refused(features: Features) -> None:
    """Before anything is sent, with the names of the views there are."""
    for act in (features.put, features.delete, features.get):
        with pytest.raises(UnknownView, match="this project has: weather"):
            act("wether", [])  # type: ignore[operator]
    with pytest.raises(RowRejected, match="is empty"):
        features.delete("weather", [""])


def _after(fields: str) -> Project:
    return parse(f"[project]\nname='p'\n[views.weather.fields]\n{fields}")


def test_rows_outlive_the_declaration(features: Features, store: Store) -> None:
    """With a field added, one removed and one retyped, old rows read as far as they still mean something."""
    features.put("weather", [_row(temp=21.5, wind=3)])
    later = Features(store, _after("gust={type='float32',default=0}\nwind={type='int64',default=-1}\ntemp='float32'"))

    before = later.get("weather", ["JFK", "LGA"])
    put = later.put("weather", [Row("JFK", {"gust": 1.0, "wind": 3, "temp": 21.5}, 2000)])

    assert before[0] is not None
    assert before[0].values == {"gust": None, "wind": None, "temp": 21.5}
    assert before[1] is None
    assert put.written == 1
    assert features.get("weather", ["JFK"])[0].values == {"temp": 21.5, "wind": None, "sky": None}  # type: ignore[union-attr]


def test_a_layout_is_announced_before_its_rows(features: Features, store: Store) -> None:
    """Whoever meets a row finds its layout; announcing twice changes nothing."""
    Layouts(PROJECT).announce(store, Layout(PROJECT.view("weather")))
    features.put("weather", [_row()])

    assert store.call("HKEYS", layout_key("weather")) == [str(Layout(PROJECT.view("weather")).id).encode()]


def test_layouts_that_cannot_be_told_apart_are_refused(features: Features, store: Store) -> None:
    """If an earlier declaration had the same layout id, nothing is stored that would be read wrongly."""
    number = Layout(PROJECT.view("weather")).id
    store.call("HSET", layout_key("weather"), number, b'[["other","float32"]]')

    with pytest.raises(ConfigError, match="declare two of them in another order"):
        features.put("weather", [_row()])

    assert store.call("EXISTS", row_key("weather", "JFK")) == 0


def test_nothing_asked_is_nothing_read(features: Features) -> None:
    """An empty request needs no server."""
    assert features.get("weather", []) == []
    assert features.put("weather", []).written == 0
