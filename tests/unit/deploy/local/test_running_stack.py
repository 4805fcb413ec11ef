"""Finding a stack that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.running_stack import RunningStack, announced, find_running_stack

STACK = RunningStack(primary_url="redis://h:1/0", replica_url=None, host="127.0.0.1", port=9)


def test_a_stack_is_found_while_it_runs(tmp_path: Path) -> None:
    """By its project file, from any directory."""
    project = tmp_path / "nearcast.toml"

    with announced(STACK, project) as told:
        found = find_running_stack(project)

    assert told
    assert found == STACK
    assert find_running_stack(project) is None


def test_a_second_stack_leaves_the_first_one_announced(tmp_path: Path) -> None:
    """Both run; the other terminal goes on with the one it knows."""
    second = RunningStack(primary_url="redis://h:2/0", replica_url=None, host="127.0.0.1", port=8)

    with announced(STACK, tmp_path / "p.toml"):
        with announced(second, tmp_path / "p.toml") as told:
            pass
        found = find_running_stack(tmp_path / "p.toml")

    assert not told
    assert found == STACK


def test_a_stack_runs_unannounced_where_nothing_can_be_written(tmp_path: Path) -> None:
    """An installed project lies in a read-only place."""
    (tmp_path / ".nearcast").write_text("not a directory")

    with announced(STACK, tmp_path / "p.toml") as told:
        assert not told


@pytest.mark.parametrize("content", ["", "{", "[]", '{"port": 1}'])
def test_a_file_that_makes_no_sense_is_no_stack(tmp_path: Path, content: str) -> None:
    """Whatever wrote it, commands go on without."""
    with announced(STACK, tmp_path / "p.toml"):
        (tmp_path / ".nearcast" / "stack.json").write_text(content)

        assert find_running_stack(tmp_path / "p.toml") is None
