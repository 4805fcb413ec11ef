"""The queue from which anything may be removed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.arrivals import Arrivals

STEPS = st.lists(st.tuples(st.sampled_from(["append", "pop", "remove"]), st.integers(0, 300)), max_size=1500)


@given(STEPS)
def test_it_is_a_queue_without_what_was_removed(steps: list[tuple[str, int]]) -> None:
    """Whatever is done, in whatever order; a key that comes back stands at its old place, or behind all others."""
    queue, places = Arrivals(), dict[str, int]()
    latest = 0

    for name, number in steps:
        key = f"k{number}"
        if name == "append" and key not in places:
            queue.append(key)
            latest += 1
            places[key] = latest
        elif name == "pop" and places:
            del places[queue.pop()]
        elif name == "remove" and key in places:
            queue.remove(key)
            del places[key]

        assert len(queue) == len(places)
    assert sorted(queue) == sorted(places)


@given(st.lists(st.integers(0, 300), unique=True), st.data())
def test_keys_leave_in_the_order_in_which_they_came(numbers: list[int], data: st.DataObject) -> None:
    """Those between which others were removed, too."""
    queue, keys = Arrivals(), [f"k{number}" for number in numbers]
    for key in keys:
        queue.append(key)
    gone = set(data.draw(st.lists(st.sampled_from(keys), unique=True))) if keys else set()
    for key in gone:
        queue.remove(key)

    left = [queue.pop() for _ in range(len(queue))]

    assert left == [key for key in keys if key not in gone]


def test_removed_keys_are_tidied_away_a_few_at_a_time() -> None:
    """None of a million removals has to look at all of the others, and no more of them than of others stay."""
    queue = Arrivals()
    for i in range(5000):
        queue.append(f"k{i}")

    for i in range(0, 5000, 2):
        queue.remove(f"k{i}")
    for i in range(1, 4999, 2):
        queue.remove(f"k{i}")

    assert list(queue) == ["k4999"]
    assert len(queue._front) + len(queue._back) < 300
