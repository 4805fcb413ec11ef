"""Where things are: the order in which it is decided."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.cli.invocation import Invocation
from deploy.local.running_stack import RunningStack, announced

STACK = RunningStack(primary_url="redis://127.0.0.1:7/0", replica_url="redis://127.0.0.1:8/0", host="127.0.0.1", port=9)


def test_the_stack_beside_the_project_is_found(tmp_path: Path) -> None:
    """A second terminal needs no addresses."""
    with announced(STACK, tmp_path / "p.toml"):
        settings = Invocation(tmp_path / "p.toml", None, None).settings

    assert (settings.primary_url, settings.read_url, settings.port) == (STACK.primary_url, STACK.replica_url, 9)


def test_a_stack_that_has_ended_is_not_found(tmp_path: Path) -> None:
    """Its file without its lock is a left-over."""
    with announced(STACK, tmp_path / "p.toml"):
        content = (tmp_path / ".nearcast" / "stack.json").read_text()
    (tmp_path / ".nearcast" / "stack.json").write_text(content)

    settings = Invocation(tmp_path / "p.toml", None, None).settings

    assert settings.primary_url == "redis://127.0.0.1:6379/0"


def test_the_command_line_goes_before_the_environment_and_both_before_the_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever names a server means it."""
    monkeypatch.setenv("NEARCAST_PRIMARY_URL", "redis://environment/0")

    with announced(STACK, tmp_path / "p.toml"):
        from_environment = Invocation(tmp_path / "p.toml", None, None).settings
        from_command_line = Invocation(tmp_path / "p.toml", "redis://said/0", None).settings

    assert from_environment.primary_url == "redis://environment/0"
    assert from_environment.replica_url is None
    assert from_command_line.primary_url == "redis://said/0"


def test_a_port_that_was_named_stays(tmp_path: Path) -> None:
    """Only what nobody said is taken from the stack."""
    call = Invocation(tmp_path / "p.toml", None, None)
    call.also(port=5, host=None)

    with announced(STACK, tmp_path / "p.toml"):
        settings = call.settings

    assert (settings.port, settings.primary_url) == (5, STACK.primary_url)
