"""The question each hit asks: for every number of dependencies and every one of them that may have changed."""

from __future__ import annotations

import struct
from array import array

import pytest

from edge.unchanged import unchanged

KNOWN = 100


@pytest.mark.parametrize("entities", [1, 2, 3, 4, 7])
def test_every_dependency_counts(entities: int) -> None:
    """A change beyond what the entry knows is noticed wherever it is, and one that it knows is none."""
    ask = unchanged(f"<{entities}I{entities}Q", entities)
    marks = struct.pack(f"<{entities}I{entities}Q", *range(entities), *range(KNOWN, KNOWN + entities))
    slots = array("Q", range(KNOWN, KNOWN + entities))
    assert ask(slots, marks)

    for changed in range(entities):
        slots[changed] += 1
        assert not ask(slots, marks)
        slots[changed] -= 1


def test_nothing_depended_on_never_changes() -> None:
    """A model of constants."""
    assert unchanged("", 0)(array("Q"), b"")
