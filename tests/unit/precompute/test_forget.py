"""Which entries were made from a row, by their names."""

from __future__ import annotations

import pytest

from precompute.errors import UnknownView
from precompute.forget import Dependence
from tests.unit.precompute.test_orders import PROJECT


@pytest.mark.parametrize(
    ("name", "depends"),
    [
        ("p:late:1:UA1:EWR?hour=3", True),
        ("p:late:22:UA2:EWR?hour=3", True),
        ("p:late:1:EWR:JFK?hour=3", False),
        ("p:late:1:UA1:JFK?hour=3", False),
        ("p:storm:1:EWR", True),
        ("p:storm:1:JFK", False),
        # Of another declaration: whoever is named may be in it.
        ("p:late:1:EWR", True),
        ("p:late:1:UA1:EWR:N1", True),
        ("p:gone:1:UA1:EWR", True),
        ("p:gone:1:UA1:JFK", False),
        ("p:late", False),
    ],
)
def test_an_entrys_name_says_whether_it_was_made_from_a_row(name: str, depends: bool) -> None:
    """Through the model's declaration, and by its parts where there is none to go by."""
    assert Dependence(PROJECT, "weather", ["EWR"]).holds(name.encode()) is depends


def test_entities_may_be_spelled_as_people_do() -> None:
    """Names of entries hold the canonical spelling."""
    assert Dependence(PROJECT, "weather", ["New York"]).holds(b"p:storm:1:New~20York")


def test_a_name_that_is_no_text_depends_on_nothing() -> None:
    """Whatever somebody else has put there."""
    assert not Dependence(PROJECT, "weather", ["EWR"]).holds(b"p:storm:1:\xff\xfe")


def test_an_unknown_view_is_refused() -> None:
    """Rather than finding nothing to remove."""
    with pytest.raises(UnknownView):
        Dependence(PROJECT, "tides", ["EWR"])
