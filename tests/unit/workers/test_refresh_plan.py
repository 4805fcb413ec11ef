"""What is refreshed on a change, over all models."""

from __future__ import annotations

from tests.unit.workers.models import PROJECT
from workers.change_rates import ChangeRates
from workers.refresh_plan import HotScores, ModelPlan, RefreshPlanner

HOT = {
    "late": HotScores([(f"UA{i}:EWR", 10.0 / (i + 1)) for i in range(20)], 1),
    "other": HotScores([("EWR", 0.5), ("JFK", 0.1)], 1),
    "never": HotScores([("UA1", 100.0)], 1),
}


def plan(
    rows_per_s: float = 1e9, row_s: dict[str, float] | None = None, versions: dict[str, int] | None = None
) -> dict[str, ModelPlan]:
    """With the weather of two airports changing once a second, for 1,000 s."""
    changes = ChangeRates(600.0, 0.0)
    for second in range(1000):
        changes.note(("weather", "EWR"), float(second))
        changes.note(("weather", "JFK"), float(second))
    return RefreshPlanner(600.0, changes).plan(PROJECT.models, HOT, row_s or {}, rows_per_s, 1000.0, versions)


def test_a_model_is_refreshed_as_its_policy_says() -> None:
    """By value, always, or never."""
    plans = plan()

    assert 0 < len(plans["late"].pushed) <= 10
    assert "UA0:EWR" in plans["late"].pushed
    assert list(plans["other"].pushed) == ["EWR", "JFK"]
    assert plans["never"].pushed == {}


def test_always_comes_first() -> None:
    """And takes its part of the budget; the hottest of what is left comes next."""
    plans = plan(rows_per_s=4.5)

    assert len(plans["other"].pushed) == 2
    assert list(plans["late"].pushed) == ["UA0:EWR", "UA1:EWR"]


def test_a_dear_model_is_refreshed_less() -> None:
    """Its rows must be surer of being asked for."""
    assert len(plan(row_s={"late": 0.005})["late"].pushed) < len(plan()["late"].pushed)


def test_a_plan_knows_what_it_costs() -> None:
    """Rows per second, as changes have come so far."""
    late = plan()["late"]

    assert 0.9 * len(late.pushed) < late.rows_per_s < 1.1 * len(late.pushed)


def test_what_is_computed_with_several_versions_takes_as_many_rows() -> None:
    """Of the same budget fewer keys are refreshed, and the plan tells the cost of all versions."""
    one, three = (plan(rows_per_s=8.5, versions={"late": versions})["late"] for versions in (1, 3))

    assert 0 < 3 * len(three.pushed) <= len(one.pushed)
    assert {key.rows for key in three.pushed.values()} == {3}
    assert 2.7 * len(three.pushed) < three.rows_per_s < 3.3 * len(three.pushed)
