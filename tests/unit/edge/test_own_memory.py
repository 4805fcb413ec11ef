"""What a process knows of its memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.own_memory import limit_bytes, resident_bytes


def test_a_process_holds_some_memory() -> None:
    """More than nothing, less than everything."""
    assert 1 << 20 < resident_bytes() < 1 << 40


@pytest.mark.parametrize(("text", "limit"), [("1073741824\n", 1 << 30), ("max\n", 0), ("", 0)])
def test_a_container_may_have_a_limit(tmp_path: Path, text: str, limit: int) -> None:
    """Or none, in words."""
    file = tmp_path / "memory.max"
    file.write_text(text)

    assert limit_bytes(file) == limit


def test_other_systems_say_nothing(tmp_path: Path) -> None:
    """Then nothing is known, and nothing is wrong."""
    assert (resident_bytes(tmp_path / "no"), limit_bytes(tmp_path / "no")) == (0, 0)
