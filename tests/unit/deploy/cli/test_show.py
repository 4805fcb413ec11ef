"""Answers for people and for programs."""

from __future__ import annotations

import json

import pytest

from deploy.cli.show import facts, show, table

Captured = pytest.CaptureFixture[str]


def test_without_a_terminal_no_value_is_cut_off(capsys: Captured) -> None:
    """`nearcast ... | grep` must find what is there."""
    long = "x" * 300

    show(None, lambda: table(("a", "b"), [(long, long)]), as_json=False)

    assert capsys.readouterr().out.count(long) == 2


def test_brackets_are_text_and_no_markup(capsys: Captured) -> None:
    """Types of features look like styles to the library that draws the table."""
    show(
        None,
        lambda: facts([("type", "float32[bold]"), ("none", None), ("many", 1_000_000), ("on", True)]),
        as_json=False,
    )

    out = capsys.readouterr().out
    assert "float32[bold]" in out
    assert "1,000,000" in out


def test_numbers_that_json_does_not_know_become_null(capsys: Captured) -> None:
    """The document must parse everywhere."""
    show({"value": float("nan")}, str, as_json=True)

    assert json.loads(capsys.readouterr().out) == {"value": None}
