"""Which versions hot keys are computed with."""

from __future__ import annotations

import json

from precompute.experiments import Arm, Experiment
from precompute.keys import EXPERIMENTS
from tests.small_project import small_project
from workers.warm_versions import MAX_VERSIONS, WarmVersions, warm_versions

MODEL = small_project().model("score")


def experiment(*arms: str | int) -> Experiment:
    """One with these variants and versions."""
    made = tuple(
        Arm(f"a{i}", *((arm, None) if isinstance(arm, str) else (None, arm)), 1.0) for i, arm in enumerate(arms)
    )
    return Experiment(name="x", model="score", layer="score", arms=made)


def test_without_experiments_it_is_the_default_variants() -> None:
    """Nothing is computed where nothing is published."""
    assert warm_versions(MODEL, {"default": 3, "other": 4}, []) == (3,)
    assert warm_versions(MODEL, {"other": 4}, []) == ()


def test_every_arm_is_computed_once() -> None:
    """The default first, since those who take no part get it; an arm without a version waits for one."""
    active = {"default": 3, "other": 4}

    assert warm_versions(MODEL, active, [experiment("other", 2), experiment("default", "other", 3)]) == (3, 4, 2)
    assert warm_versions(MODEL, {"default": 3}, [experiment("other", "default")]) == (3,)


def test_their_number_is_bounded() -> None:
    """A thousand experiments do not make a thousand rows of one."""
    many = [experiment(10 + 2 * n, 11 + 2 * n) for n in range(50)]

    assert warm_versions(MODEL, {"default": 3}, many) == (3, 10, 11, 12, 13, 14, 15, 16)
    assert MAX_VERSIONS == 8


class FakeStore:
    """Has one active version of each variant, and one experiment; counts what it is asked."""

    def __init__(self, **said: object) -> None:
        table = {"model": "score", "arms": {"a": {"variant": "default"}, "b": {"variant": "other"}}, **said}
        self.experiments = [b"x", json.dumps({"table": table, "added_ms": 1}).encode()]
        self.asked: list[str] = []

    def call(self, command: str, key: str) -> list[bytes]:
        self.asked.append(key)
        return self.experiments if key == EXPERIMENTS else [b"default", b"3", b"other", b"4"]


def test_an_experiment_that_is_about_to_begin_is_warmed() -> None:
    """Its first requests find predictions; one that is over is not, and nobody asks more often than must be."""
    store = FakeStore(start="1970-01-01T00:10:00Z", end="1970-01-01T00:20:00Z")
    now_s = [0.0]
    warm = WarmVersions(store, small_project(), lambda: int(now_s[0] * 1000), lambda: now_s[0])  # type: ignore[arg-type]
    found = {}

    for now_s[0] in (0.0, 0.5, 530.0, 545.0, 1190.0, 1201.0):
        found[now_s[0]] = warm.of("score")

    assert found == {0.0: (3,), 0.5: (3,), 530.0: (3,), 545.0: (3, 4), 1190.0: (3, 4), 1201.0: (3,)}
    assert store.asked.count(EXPERIMENTS) == 5
