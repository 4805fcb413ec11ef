"""The memory tier."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.memory import OVERHEAD_BYTES, Memory
from tests.unit.edge.rig import Rig


@dataclass
class Value:
    """Something of a size."""

    size: int = 100
    hits: int = field(default=0, compare=False)


def weight(key: str, value: Value) -> int:
    """What it counts as."""
    return value.size + len(key) + OVERHEAD_BYTES


#: Room for a hundred small values.
ROOM = 100 * weight("k00", Value())


def kept(memory: Memory[Value], keys: list[str]) -> list[str]:
    """Those of the keys that are there, without counting as a hit."""
    return [key for key in keys if key in memory]


def test_a_value_comes_back() -> None:
    """What was put is what is got."""
    memory = Memory[Value](ROOM)

    memory.put("a", Value(1))

    assert memory.get("a") == Value(1)
    assert memory.get("b") is None


def test_bytes_stay_within_the_limit() -> None:
    """Whatever arrives, the tier never holds more than it may."""
    memory = Memory[Value](ROOM)

    for i in range(1000):
        memory.put(f"k{i}", Value(i % 300))
        assert memory.bytes <= ROOM

    assert memory.evictions > 800
    assert memory.bytes > 0.9 * ROOM


def test_keys_asked_for_once_do_not_displace_those_asked_for_again() -> None:
    """A scan of ten thousand keys passes through the small queue and leaves the rest alone."""
    memory = Memory[Value](ROOM)
    popular = [f"p{i:02}" for i in range(50)]
    for key in popular:
        memory.put(key, Value())
        memory.get(key)
        memory.get(key)

    for i in range(10_000):
        memory.put(f"once{i}", Value())

    assert kept(memory, popular) == popular


def test_a_key_that_comes_back_soon_after_its_eviction_goes_to_the_main_queue() -> None:
    """Its name was remembered: it was worth more than the small queue had time to see."""
    memory = Memory[Value](ROOM)
    memory.put("back", Value())
    for i in range(100):
        memory.put(f"k{i:02}", Value())
    assert memory.get("back") is None

    memory.put("back", Value())
    for i in range(100):
        memory.put(f"s{i:02}", Value())

    assert memory.get("back") == Value()


def test_the_main_queue_lets_go_of_what_nobody_asks_for_any_more() -> None:
    """Yesterday's popular keys make room for today's."""
    memory = Memory[Value](ROOM)
    rounds = [[f"r{r}k{i:02}" for i in range(80)] for r in range(4)]

    for keys in rounds:
        for _ in range(4):
            for key in keys:
                if memory.get(key) is None:
                    memory.put(key, Value())

    assert len(kept(memory, rounds[-1])) >= 50
    assert kept(memory, rounds[0]) == []


def test_a_value_put_again_replaces_the_one_before() -> None:
    """With its size."""
    memory = Memory[Value](ROOM)
    memory.put("a", Value(10))

    memory.put("a", Value(500))

    assert memory.get("a") == Value(500)
    assert memory.bytes == weight("a", Value(500))
    assert len(memory) == 1


def test_a_value_too_large_is_not_kept_and_nothing_is_lost_for_it() -> None:
    """One giant must not empty the tier."""
    memory = Memory[Value](ROOM)
    memory.put("a", Value())

    memory.put("giant", Value(ROOM))

    assert memory.get("giant") is None
    assert memory.get("a") == Value()


def test_a_value_grown_too_large_takes_its_predecessor_away() -> None:
    """The old value is out of date, so a miss is the only right answer."""
    memory = Memory[Value](ROOM)
    memory.put("a", Value())
    memory.put("b", Value())

    memory.put("a", Value(ROOM))

    assert memory.get("a") is None
    assert memory.get("b") == Value()
    assert memory.bytes == weight("b", Value())


def test_a_removed_key_is_gone_and_its_bytes_are_free() -> None:
    """Removal counts at once, even though the queue forgets later."""
    memory = Memory[Value](ROOM)
    memory.put("a", Value())

    memory.remove("a")
    memory.remove("a")

    assert (memory.get("a"), memory.bytes, len(memory)) == (None, 0, 0)


def test_removed_keys_do_not_pile_up() -> None:
    """Where nothing is ever evicted, nothing would reach the end of its queue."""
    memory = Memory[Value](ROOM)
    memory.put("stays", Value())

    for i in range(10_000):
        memory.put(f"k{i}", Value())
        memory.remove(f"k{i}")

    assert len(memory._small) + len(memory._main) < 1000
    assert memory.get("stays") == Value()


@pytest.mark.parametrize("apart", [30, 50])
def test_the_small_queue_becomes_as_long_as_it_takes_to_see_keys_again(apart: int) -> None:
    """Each key is asked for twice, with others in between, and then never again."""
    memory = Memory[Value](ROOM)
    asked = [f"k{i // 2 + i % 2 * apart // 2}" for i in range(40_000)]
    hits = 0

    for key in asked:
        if memory.get(key) is None:
            memory.put(key, Value())
        else:
            hits += 1

    assert hits > 0.4 * len(asked)


def test_a_loop_longer_than_the_tier_finds_what_came_first() -> None:
    """Everything is asked for in turn: to throw out the oldest each time would be never to have the next."""
    memory = Memory[Value](ROOM)
    hits = 0

    for i in range(2000):
        if memory.get(f"k{i % 200}") is None:
            memory.put(f"k{i % 200}", Value())
        else:
            hits += 1

    assert hits > 600


def test_room_is_found_quickly_where_everything_has_been_asked_for() -> None:
    """Giving each of a million another round before one goes would hold up everybody for a second."""
    memory = Memory[Value](100 * ROOM)
    keys = [f"k{i:02}" for i in range(10_000)]
    for key in keys:
        memory.put(key, Value())
        memory.get(key)

    memory.put("new", Value(500))

    assert memory.evictions > 0
    found = [value for key in keys if (value := memory.peek(key))]
    assert sum(value.hits & 3 > 0 for value in found) > 5_000


KEYS = st.integers(0, 30).map(lambda i: f"k{i}")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.integers(0, 8 * OVERHEAD_BYTES)),
        st.tuples(st.just("get"), KEYS),
        st.tuples(st.just("remove"), KEYS),
    ),
    max_size=120,
)


@given(STEPS, st.integers(1, 20))
def test_accounting_equals_the_sum_of_what_is_kept(steps: list[tuple[str, ...]], room: int) -> None:
    """After any steps: bytes are those of the kept values, within the limit, and a value is what was put last."""
    memory = Memory[Value](room * OVERHEAD_BYTES)
    last: dict[str, Value] = {}

    for name, *arguments in steps:
        if name == "put":
            key, size = arguments
            last[key] = Value(int(size))
            memory.put(key, last[key])
        else:
            getattr(memory, name)(*arguments)

        kept = {key: value for shard in memory._shards for key, value in shard.items()}
        small, main = list(memory._small), list(memory._main)
        assert memory.bytes == sum(weight(k, v) for k, v in kept.items())
        assert memory._small.bytes == sum(weight(k, kept[k]) for k in small)
        assert memory.bytes <= memory.max_bytes
        assert sorted(small + main) == sorted(kept)
        assert (len(memory._small), len(memory._main)) == (len(small), len(main))
        assert kept == {key: last[key] for key in kept}


@pytest.mark.parametrize("key", ["", "x" * 1000, "schlüssel"])
def test_any_key_will_do(key: str) -> None:
    """Keys are text of any length."""
    memory = Memory[Value](ROOM)

    memory.put(key, Value())

    assert memory.get(key) == Value()


def test_the_garbage_collector_sees_no_entries() -> None:
    """A million of them would hold up everybody for half a second at each full collection."""
    rig = Rig(max_bytes=1 << 24)
    held = rig.held()
    rig.memory.put("a:p", held)

    gc.collect()

    assert not any(map(gc.is_tracked, (held, held.body, held.marks)))
