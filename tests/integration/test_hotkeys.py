"""Hot keys in a real Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.local.redis_pair import RedisPair
from precompute.hot_counter import HotCounter
from precompute.hotkeys import MAX_WINDOWS, MergeRule, flush_commands, merge, read_state, top
from precompute.keys import hot_key, hot_windows_key
from precompute.store import Store
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

RULE = MergeRule(half_life_s=600.0, keep=1500)


@pytest.fixture
def store(clean_redis: RedisPair) -> Iterator[Store]:
    """The primary."""
    opened = Store(clean_redis.primary_url)
    yield opened
    opened.close()


def flush(store: Store, hits: dict[str, int]) -> None:
    """What an edge does with a model's counts."""
    counter = HotCounter()
    for key, count in hits.items():
        for _ in range(count):
            counter.hit(key)
    store.run(flush_commands("late", counter.drain() or b""))


def test_windows_of_edges_become_one_ranking(store: Store) -> None:
    """Hottest first, as rates; the windows are gone."""
    flush(store, {"a": 1, "b": 5})
    flush(store, {"a": 9, "Zürich": 2})

    state = merge(store, "late", RULE, 1000)

    assert [key for key, _ in top(store, "late", 10)] == ["a", "b", "Zürich"]
    assert [key for key, _ in top(store, "late", 1)] == ["a"]
    assert sum(rate for _, rate in top(store, "late", 10)) == pytest.approx(state.total_per_s)
    assert store.call("LLEN", hot_windows_key("late")) == 0
    assert read_state(store, "late") == state


def test_merging_again_adds_to_what_was_there(store: Store) -> None:
    """More keys than one write holds, cut at the limit."""
    flush(store, {f"k{i}": 1 + i % 3 for i in range(2000)})
    merge(store, "late", RULE, 1000)
    flush(store, {"k0": 50})

    merge(store, "late", RULE, 2000)

    assert store.call("ZCARD", hot_key("late")) == RULE.keep
    assert top(store, "late", 1)[0][0] == "k0"
    assert read_state(store, "late").windows == 2


def test_a_damaged_window_is_skipped_and_counted(store: Store) -> None:
    """And gone, so that it is not met again."""
    store.call("RPUSH", hot_windows_key("late"), b"\x01garbage")
    flush(store, {"a": 1})

    state = merge(store, "late", RULE, 1000)

    assert (state.windows, state.corrupt) == (1, 1)
    assert [key for key, _ in top(store, "late", 10)] == ["a"]
    assert store.call("LLEN", hot_windows_key("late")) == 0


def test_windows_that_nobody_merges_are_bounded(store: Store) -> None:
    """The latest stay."""
    for i in range(MAX_WINDOWS + 5):
        flush(store, {f"k{i}": 1})

    merge(store, "late", RULE, 1000)

    assert {key for key, _ in top(store, "late", 1000)} == {f"k{i}" for i in range(5, MAX_WINDOWS + 5)}


def test_everything_forgotten_leaves_nothing_behind(store: Store) -> None:
    """A model that nobody asks any more."""
    flush(store, {"a": 1})
    merge(store, "late", RULE, 1000)

    merge(store, "late", RULE, 10**10)

    assert store.call("EXISTS", hot_key("late")) == 0


def test_edges_read_the_ranking_at_their_replica(store: Store, clean_redis: RedisPair) -> None:
    """There it is swapped in one step, too."""
    flush(store, {"a": 2, "b": 1})
    merge(store, "late", RULE, 1000)
    replica = Store(clean_redis.replica_url)

    wait_until(lambda: len(top(replica, "late", 10)) == 2)

    assert [key for key, _ in top(replica, "late", 10)] == ["a", "b"]
    replica.close()
