"""Which versions hot keys are computed with."""

from __future__ import annotations

from precompute.experiments import Arm, Experiment
from tests.small_project import small_project
from workers.warm_versions import MAX_VERSIONS, warm_versions

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
