"""Each process has a workplace of its own."""

from __future__ import annotations

import os
from typing import cast

import pytest

from workers.workplace import PerProcess, Workplace


def test_a_workplace_is_built_once_and_late() -> None:
    """Nothing is opened before the first task asks."""
    built: list[int] = []

    def build() -> Workplace:
        built.append(os.getpid())
        return cast(Workplace, object())

    place = PerProcess(build)
    before = list(built)
    first, second = place(), place()

    assert before == []
    assert first is second
    assert len(built) == 1


def test_a_forked_process_builds_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections and sessions do not survive a fork."""
    place = PerProcess(lambda: cast(Workplace, object()))
    ours = place()

    monkeypatch.setattr(os, "getpid", lambda: -1)

    assert place() is not ours
