"""Breakers, as the dashboard has them."""

from __future__ import annotations

from edge.dashboard import breakers as shown
from edge.dashboard.breakers import breakers
from edge.variant_notes import BreakerNote, VariantNote
from precompute.telemetry import Source

HERE, THERE = Source("here:1", 0), Source("there:1", 1)


def note(version: int, state: str | None, since_ms: int = 0) -> VariantNote:
    """A version that is taken out, or not."""
    breaker = None if state is None else BreakerNote(state, since_ms, "it fails", 2)
    return VariantNote("score", "fast", version, True, False, 0, None, breaker)


def test_what_lets_nothing_pass_comes_first() -> None:
    """The latest first; what is closed is not told."""
    said = {
        HERE: [note(1, "trial", 900), note(2, "open", 100), note(3, None)],
        THERE: [note(4, "open", 500), note(5, "ended", 50)],
    }

    found = breakers(said)

    assert [(it.version, it.state) for it in found] == [(5, "ended"), (4, "open"), (2, "open"), (1, "trial")]
    assert (found[1].node, found[1].process, found[1].since_ms) == ("there:1", 1, 500)
    assert (found[1].why, found[1].opened) == ("it fails", 2)


def test_only_so_many_are_listed() -> None:
    """However many are open."""
    found = breakers({HERE: [note(n, "open", n) for n in range(shown.MOST + 10)]})

    assert len(found) == shown.MOST
    assert found[0].version == shown.MOST + 9
