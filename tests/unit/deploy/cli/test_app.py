"""The commands as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from deploy.cli.app import app, hoist
from deploy.cli.run import run


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = dict(commands(get_command(app)))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_says_what_it_is_for_and_shows_an_example(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """One line of purpose, one line that can be typed."""
    purpose = ALL[path].help.splitlines()[0]

    status = run([*path, "--help"])

    assert status == 0
    assert purpose.endswith(".")
    assert ALL[path].epilog.startswith(f"Example: nearcast {' '.join(path)}")
    assert "Example: nearcast" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        (["up", "--project", "a.toml"], ["--project", "a.toml", "up"]),
        (["up", "--project=a.toml", "--port", "0"], ["--project=a.toml", "up", "--port", "0"]),
        (["--primary", "redis://h/0", "hot", "m"], ["--primary", "redis://h/0", "hot", "m"]),
        (["get", "m", "--", "--project", "x"], ["get", "m", "--", "--project", "x"]),
        (["up", "--project"], ["up", "--project"]),
    ],
)
def test_global_options_may_stand_anywhere(given: list[str], ordered: list[str]) -> None:
    """Nobody remembers on which side of the command they belong."""
    assert hoist(given) == ordered
