"""Exposures, put together by arm."""

from __future__ import annotations

import math

import pytest

from precompute.experiment_report import mean_difference, proportion, proportion_difference
from precompute.experiment_results import outcomes, report, tally
from precompute.experiments import Arm, Experiment
from precompute.exposures import Answers, Exposure

EXPERIMENT = Experiment(
    name="x",
    model="m",
    layer="m",
    arms=(Arm("control", "default", None, 1.0), Arm("fast", "fast", None, 1.0)),
    salt="x",
)
NOW = EXPERIMENT.fingerprint()
NONE = Answers({}, {}, 0)


def exposure(arm: str, unit: str, tier: str = "memory", took_us: int = 100, **more: object) -> Exposure:
    """One answer."""
    said: dict[str, object] = {"plan": NOW, **more}
    return Exposure(1, arm, unit, "k", 1 if arm == "control" else 2, tier, took_us, **said)  # type: ignore[arg-type]


def test_an_arm_is_the_sum_of_its_units() -> None:
    """Answers, tiers and latencies; units are counted once, and shares of answers are of answers."""
    answers = [exposure("control", "u1"), exposure("control", "u1", "live", 3000), exposure("control", "u2")]
    answers += [exposure("fast", f"v{n}", took_us=n) for n in range(1, 8)]
    counted = Answers({("control", "memory"): 200, ("control", "live"): 100, ("fast", "memory"): 7}, {"fast": 2}, 15)

    control, fast = report(EXPERIMENT, tally(EXPERIMENT, answers), counted).arms

    assert (control.unit_count, control.records, control.versions) == (2, 3, (1,))
    assert control.units == proportion(2, 9)
    assert control.answers == {"memory": 200, "live": 100}
    assert control.hits.estimate == pytest.approx(2 / 3)
    assert control.mean_ms.estimate == pytest.approx(3.2 / 3)
    assert (fast.overrides, fast.p50_ms.estimate, fast.p95_ms.estimate) == (2, 0.004, 0.007)


def test_testers_and_earlier_plans_are_none_of_it() -> None:
    """They would look like a mismatch, and records that are gone are told of."""
    answers = [
        exposure("control", "u"),
        exposure("fast", "tester", override=True),
        exposure("fast", "before", plan="other"),
        exposure("gone", "u"),
    ]

    found = report(EXPERIMENT, tally(EXPERIMENT, answers), Answers({}, {}, 10))

    assert [arm.unit_count for arm in found.arms] == [1, 0]
    assert (found.records, found.records_gone, found.records_earlier) == (4, 6, 2)


@pytest.mark.parametrize(("missing", "is_mismatch"), [(0, False), (30, False), (200, True)])
def test_a_mismatch_is_found(missing: int, is_mismatch: bool) -> None:
    """Of a thousand units each: thirty fewer is chance, two hundred are not."""
    answers = [exposure("control", f"u{n}") for n in range(1000)]
    answers += [exposure("fast", f"v{n}") for n in range(1000 - missing)]

    assert report(EXPERIMENT, tally(EXPERIMENT, answers), NONE).is_mismatch == is_mismatch


def test_an_experiment_without_answers_has_a_report() -> None:
    """That knows nothing."""
    found = report(EXPERIMENT, tally(EXPERIMENT, []), NONE)

    assert found.sample_ratio_p is None and not found.is_mismatch
    assert all(math.isnan(arm.hits.estimate) for arm in found.arms)


def test_outcomes_of_the_kind_yes_or_no_are_shares() -> None:
    """Of all units that took part, against the first arm."""
    found = tally(EXPERIMENT, [exposure("control", f"u{n}") for n in range(80)])
    for n in range(70):
        found.arms["fast"].take(exposure("fast", f"v{n}"))
    yes = dict.fromkeys([*(f"u{n}" for n in range(48)), *(f"v{n}" for n in range(56)), "stranger"], 1.0)

    binary, (control, fast) = outcomes(found, yes)

    assert binary
    assert (control.value, control.difference) == (proportion(48, 80), None)
    assert (fast.value, fast.difference) == (proportion(56, 70), proportion_difference(56, 70, 48, 80))


def test_other_outcomes_are_means() -> None:
    """Whoever nothing came of counts as zero."""
    found = tally(EXPERIMENT, [exposure("control", "a"), exposure("control", "b"), exposure("fast", "c")])
    found.arms["fast"].take(exposure("fast", "d"))

    binary, (control, fast) = outcomes(found, {"a": 3.0, "c": 2.0, "d": 5.0})

    assert not binary
    assert control.value.estimate == 1.5
    assert fast.difference == mean_difference([2.0, 5.0], [3.0, 0.0])
