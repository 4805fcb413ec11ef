"""Which models stay loaded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.residents import Newcomer, Resident, to_let_go, to_warm


def test_the_least_valuable_goes_first() -> None:
    """Uses and load time count for, bytes against."""
    residents = [
        Resident("busy", 100, uses=50.0, load_s=0.1),
        Resident("idle", 100, uses=1.0, load_s=0.1),
        Resident("slow to load", 100, uses=1.0, load_s=9.0),
        Resident("large", 10_000, uses=50.0, load_s=0.1),
    ]

    assert to_let_go(residents, 1) == ["large"]
    assert to_let_go(residents, 10_001) == ["large", "idle"]
    assert to_let_go(residents, 10_101) == ["large", "idle", "busy"]


def test_more_goes_than_has_to_where_it_fits_into_the_spare() -> None:
    """So that not each newcomer has to look at all; never at the cost of one that is larger than that."""
    residents = [Resident(name, size, 0.0, 0.1) for name, size in (("a", 100), ("b", 30), ("c", 30), ("d", 100))]

    assert to_let_go(residents, 100, 0) == ["a"]
    assert to_let_go(residents, 100, 59) == ["a", "b"]
    assert to_let_go(residents, 70, 60) == ["a", "b"]
    assert to_let_go(residents, 100, 159) == ["a", "b", "c"]


def test_what_is_needed_right_now_stays() -> None:
    """Even if that means that there is no room."""
    residents = [Resident("a", 100, 0.0, 0.1, pinned=True), Resident("b", 100, 9.0, 0.1)]

    assert to_let_go(residents, 100) == ["b"]
    assert to_let_go(residents, 101) is None


def test_no_excess_costs_nobody_anything() -> None:
    """Not even the idle."""
    assert to_let_go([Resident("a", 1, 0.0, 0.0)], 0) == []


residents = st.lists(
    st.builds(
        Resident,
        st.integers(),
        st.integers(1, 1000),
        st.floats(0, 1e6),
        st.floats(0, 10),
        st.booleans(),
    ),
    max_size=20,
    unique_by=lambda r: r.what,
)


@given(residents, st.integers(0, 5000))
def test_enough_goes_and_no_more(given: list[Resident[int]], excess: int) -> None:
    """Without the last one chosen there would be too little; nothing that stays is worth less than what goes."""
    chosen = to_let_go(given, excess)

    free = [r for r in given if not r.pinned]
    if chosen is None:
        assert sum(r.bytes for r in free) < excess
        return
    gone = [r for r in free if r.what in chosen]
    assert len(gone) == len(chosen)
    assert sum(r.bytes for r in gone) >= excess
    if chosen:
        assert sum(r.bytes for r in gone if r.what != chosen[-1]) < excess
        dearest = max(r.value for r in gone)
        assert all(r.value >= dearest for r in free if r.what not in chosen)


def test_defaults_are_warmed_before_variants_and_the_busy_before_the_idle() -> None:
    """As far as there is room; what is too large leaves its place to others."""
    newcomers = [
        Newcomer("busy fast", 10, 100.0, is_default=False),
        Newcomer("idle", 10, 1.0, is_default=True),
        Newcomer("busy", 10, 100.0, is_default=True),
        Newcomer("huge", 1000, 50.0, is_default=True),
    ]

    assert to_warm(newcomers, 30) == ["busy", "idle", "busy fast"]
    assert to_warm(newcomers, 19) == ["busy"]
