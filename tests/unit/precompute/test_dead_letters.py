"""What could not be read, without a server."""

from __future__ import annotations

from precompute.dead_letters import MOST_BYTES, Letter, _cut


def letter(*content: bytes, at_ms: int = 1) -> Letter:
    """A record of the weather."""
    return Letter("updates", "u:{weather}", "5-0", "names no entity", at_ms, content)


def test_a_letter_is_the_same_whoever_sets_it_aside() -> None:
    """And another one where its bytes differ."""
    assert letter(b"a", b"b").id == letter(b"a", b"b", at_ms=2).id
    assert letter(b"a", b"b").id != letter(b"ab").id


def test_a_long_letter_is_cut() -> None:
    """Its first bytes are kept."""
    cut = _cut(letter(b"a" * (MOST_BYTES - 1), b"b" * 9, b"c"))

    assert [len(piece) for piece in cut.content] == [MOST_BYTES - 1, 1, 0]
