"""The latest so many."""

from __future__ import annotations

from edge.latest import Latest


def test_a_new_one_takes_the_place_of_the_oldest() -> None:
    """However often the others were put again."""
    latest = Latest[str, int](3)

    for number, key in enumerate("abcaad"):
        latest.put(key, number)

    assert [latest.get(key) for key in "abcd"] == [None, 1, 2, 5]
    assert len(latest) == 3
