"""What one edge counts between two flushes, and how it travels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from precompute import hot_counter
from precompute.hot_counter import FRONT_KEYS, STEP_KEYS, HotCounter, Window


def counted(hits: dict[str, int]) -> bytes:
    """What an edge flushes after these requests."""
    counter = HotCounter()
    for key, count in hits.items():
        for _ in range(count):
            counter.hit(key)
    blob = counter.drain()
    assert blob is not None
    return blob


def test_a_window_of_few_keys_is_exact() -> None:
    """Counts come back as they were, with an error of zero."""
    parsed = Window.parse(counted({"UA1:EWR": 7, "Zürich?hour=3": 1}))

    assert parsed == Window({"UA1:EWR": 7, "Zürich?hour=3": 1}, 8, 0)


def test_keys_beyond_the_front_are_still_exact() -> None:
    """Handing over to the sketch loses nothing, even for a key counted before and after."""
    counter = HotCounter()
    for _ in range(2):
        for i in range(FRONT_KEYS + 100):
            counter.hit(f"k{i}")

    parsed = Window.parse(counter.drain() or b"")

    assert parsed is not None
    assert set(parsed.counts.values()) == {2}
    assert len(parsed.counts) == FRONT_KEYS + 100


def test_a_window_of_very_many_keys_keeps_the_frequent_ones() -> None:
    """What is named is never overstated, and short by at most the window's error."""
    truth = Counter({f"hot{i}": 2000 - i for i in range(50)}) + Counter({f"cold{i}": 1 for i in range(40_000)})

    parsed = Window.parse(counted(truth))

    assert parsed is not None
    assert parsed.total == truth.total()
    assert 0 < parsed.error < truth.total() / 2000
    assert all(truth[key] - parsed.error <= count <= truth[key] for key, count in parsed.counts.items())
    assert {f"hot{i}" for i in range(50)} <= parsed.counts.keys()


def test_nothing_counted_is_nothing_flushed() -> None:
    """An edge without traffic sends no windows, and a drained counter starts anew."""
    counter = HotCounter()
    counter.hit("a")

    assert counter.drain() is not None
    assert counter.drain() is None


@given(data=st.data())
def test_a_damaged_window_is_recognised(data: st.DataObject) -> None:
    """Any flipped byte and any cut is noticed before the sketch's parser sees it."""
    blob = counted({f"key{i}": i for i in range(1, 20)})
    at = data.draw(st.integers(0, len(blob) - 1))
    flip = data.draw(st.integers(1, 255))

    assert Window.parse(blob[:at]) is None
    assert Window.parse(blob[:at] + bytes([blob[at] ^ flip]) + blob[at + 1 :]) is None


@dataclass
class Asked:
    """Counts its own requests."""

    key: str
    asked: int = 0

    def hit(self, counter: HotCounter) -> None:
        """One request."""
        self.asked += 1
        if self.asked == 1:
            counter.watch(self)


def test_tallies_are_counted_like_any_requests() -> None:
    """Together with those that nobody keeps a tally of, and once."""
    counter, tally = HotCounter(), Asked("a")
    for _ in range(3):
        tally.hit(counter)
    counter.hit("a")
    first = Window.parse(counter.drain() or b"")

    tally.hit(counter)
    second = Window.parse(counter.drain() or b"")

    assert first is not None
    assert second is not None
    assert (first.counts, second.counts) == ({"a": 4}, {"a": 1})


def test_handing_over_is_done_in_steps() -> None:
    """None of which holds up anybody for long; what is asked for meanwhile is in this window or in the next."""
    counter, tallies = HotCounter(), [Asked(f"k{i}") for i in range(2 * STEP_KEYS + 1)]
    for tally in tallies:
        tally.hit(counter)

    steps = counter.hand_over()
    next(steps)
    tallies[0].hit(counter)
    tallies[-1].hit(counter)
    rest = len(list(steps))
    first, second = (Window.parse(blob or b"") for blob in (counter.take(), counter.drain()))

    assert rest == 2
    assert first is not None
    assert second is not None
    assert first.counts == {f"k{i}": 1 for i in range(2 * STEP_KEYS)} | {f"k{2 * STEP_KEYS}": 2}
    assert second.counts == {"k0": 1}


def test_handing_over_ends_however_much_is_asked_for_meanwhile() -> None:
    """Whoever waits for its end would never come to send a window."""
    counter = HotCounter()
    for i in range(FRONT_KEYS):
        counter.hit(f"k{i}")
        Asked(f"t{i}").hit(counter)

    steps = 0
    for _ in counter.hand_over():
        steps += 1
        for i in range(2 * STEP_KEYS):
            counter.hit(f"k{steps}-{i}")
            Asked(f"t{steps}-{i}").hit(counter)

    assert steps == 2 * FRONT_KEYS / STEP_KEYS


def test_tallies_that_are_watched_are_bounded() -> None:
    """Somebody may ask for more keys than there is room for."""
    counter = HotCounter()

    for i in range(hot_counter.MAX_TALLIES + 10):
        Asked(f"k{i}").hit(counter)

    assert len(counter._tallies) <= hot_counter.MAX_TALLIES
