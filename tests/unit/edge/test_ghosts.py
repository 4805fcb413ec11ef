"""Names that were thrown out."""

from __future__ import annotations

from edge.ghosts import Ghosts


def test_a_name_is_remembered_once() -> None:
    """Until it is taken."""
    ghosts = Ghosts(1_000_000)

    ghosts.add("a")

    assert [ghosts.take("a"), ghosts.take("a"), ghosts.take("b")] == [0, None, None]


def test_a_name_says_how_long_ago_it_was_thrown_out() -> None:
    """In names thrown out since."""
    ghosts = Ghosts(1_000_000)  # Hardly any two share a slot.
    for i in range(20):
        ghosts.add(f"k{i}")

    assert [ghosts.take(f"k{i}") for i in (19, 15, 14, 0)] == [0, 4, 5, 19]


def test_most_of_as_many_as_there_is_room_for_are_remembered() -> None:
    """Some share a slot; nobody who was never there is found."""
    ghosts = Ghosts(10_000)
    for i in range(10_000):
        ghosts.add(f"k{i}")

    found = sum(ghosts.take(f"k{i}") is not None for i in range(10_000))
    strangers = sum(ghosts.take(f"s{i}") is not None for i in range(10_000))

    assert 6_000 < found <= 10_000
    assert strangers == 0
