"""Turns of a few records, so that a handful of changes fills several."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def small_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("precompute.log_reading.READ_RECORDS", 3)
    monkeypatch.setattr("precompute.log_reading.NOTE_RECORDS", 2)
