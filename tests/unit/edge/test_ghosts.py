"""Names that were thrown out."""

from __future__ import annotations

from edge.ghosts import Ghosts


def test_a_name_is_remembered_once() -> None:
    """Until it is taken."""
    ghosts = Ghosts(1_000_000)

    ghosts.add("a")

    assert [ghosts.take("a", 10), ghosts.take("a", 10), ghosts.take("b", 10)] == [True, False, False]


def test_only_the_latest_count() -> None:
    """As many as the caller says."""
    ghosts = Ghosts(1_000_000)  # Hardly any two share a slot.
    for i in range(20):
        ghosts.add(f"k{i}")

    assert [ghosts.take(f"k{i}", 5) for i in (19, 15, 14, 0)] == [True, True, False, False]


def test_most_of_as_many_as_there_is_room_for_are_remembered() -> None:
    """Some share a slot; nobody who was never there is found."""
    ghosts = Ghosts(10_000)
    for i in range(10_000):
        ghosts.add(f"k{i}")

    found = sum(ghosts.take(f"k{i}", 10_000) for i in range(10_000))
    strangers = sum(ghosts.take(f"s{i}", 10_000) for i in range(10_000))

    assert 6_000 < found <= 10_000
    assert strangers == 0
