"""Which keys are on the rise."""

from __future__ import annotations

import pytest

from precompute.hot_counter import Window
from precompute.hot_trend import HALF_LIFE_S, Recent
from precompute.hotkeys import HotState, MergeRule

RULE = MergeRule(half_life_s=600.0, keep=100)


class Scene:
    """Windows of five seconds, merged as they come, by both averages."""

    def __init__(self) -> None:
        self.now_ms = 1_000
        self.rates: dict[str, float] = {}
        self.state, self.recent = HotState(merged_ms=self.now_ms), Recent(self.now_ms, 0.0, {})

    def pass_by(self, seconds: float, **counts: int) -> None:
        """So many requests for each key in every window."""
        for _ in range(int(seconds / 5)):
            self.now_ms += 5_000
            window = Window(counts, sum(counts.values()), 0)
            merged = RULE.merged(self.rates, self.state, [window], self.now_ms)
            self.rates, self.state = merged.rates, merged.state
            self.recent = self.recent.followed(self.rates, counts, window.total, self.now_ms)

    def trend(self, key: str) -> float | None:
        return self.recent.trend(key, self.rates[key], self.state.total_per_s)


def test_a_steady_key_has_no_trend() -> None:
    """From the first minute on, although slow averages lag behind fast ones for half an hour."""
    scene = Scene()

    scene.pass_by(30, a=100, b=50)

    assert scene.trend("a") == pytest.approx(1.0)
    assert scene.trend("b") == pytest.approx(1.0)


def test_more_traffic_is_no_trend() -> None:
    """Nobody is on the rise when everybody is."""
    scene = Scene()
    scene.pass_by(600, a=100, b=50)

    scene.pass_by(60, a=300, b=150)

    assert scene.trend("a") == pytest.approx(1.0)


def test_a_key_on_the_rise_is_seen_within_a_minute() -> None:
    """And one that fades as well."""
    scene = Scene()
    scene.pass_by(600, a=100, b=100)

    scene.pass_by(HALF_LIFE_S, a=180, b=20)

    assert (scene.trend("a") or 0) > 1.2
    assert (scene.trend("b") or 9) < 0.8


def test_what_is_not_followed_has_no_trend() -> None:
    """Nor has anything where nothing was asked for."""
    assert Recent(0, 1.0, {}).trend("a", 1.0, 1.0) is None
    assert Recent(0, 0.0, {"a": 0.0}).trend("a", 0.0, 0.0) is None


def test_what_is_stored_is_read() -> None:
    """And nothing else."""
    recent = Recent(5, 2.0, {"a": 1.0})

    assert Recent.parse(recent.encode()) == recent
    assert Recent.parse(None) is None
    assert Recent.parse(b"noise") is None
