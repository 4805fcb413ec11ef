from __future__ import annotations

from deploy.local.guardian import follow


def test_the_groups_left_are_those_born_and_not_ended() -> None:
    """The guardian stops exactly what its parent has started and not seen end."""
    left = follow(["+10\n", "+11\n", "-10\n", "+12\n", "-12\n"])

    assert left == {11}


def test_the_end_of_an_unknown_group_changes_nothing() -> None:
    """A guardian that replaces a killed one may hear of the end of a group before its birth."""
    left = follow(["-10\n", "+11\n"])

    assert left == {11}
