"""User tiers, as a project declares them."""

from __future__ import annotations

import pytest

from precompute.errors import InvalidRequest, ManifestError
from precompute.manifest import parse
from precompute.user_tiers import UserTiers
from tests import small_project

TIERS = """
[tiers]
premium = { budget_factor = 2.0 }
free = { budget_factor = 0.5 }
"""


def tiers(more: str) -> UserTiers:
    """The tiers of the small project with some more lines."""
    return parse(small_project.TEXT + more).tiers


def problems(more: str) -> list[str]:
    """The mistakes in those lines."""
    with pytest.raises(ManifestError) as caught:
        tiers(more)
    return [f"{p.table} {p.key}: {p.message}" for p in caught.value.problems]


def test_a_tier_multiplies_the_budget() -> None:
    """As declared; who has no tier gets the budget as it is."""
    declared = tiers(TIERS)

    assert [declared.factor(tier) for tier in ("premium", "free", None)] == [2.0, 0.5, 1.0]
    assert (declared.header, declared.view) == ("x-user-tier", None)


def test_a_project_without_tiers_ignores_what_requests_say() -> None:
    """The header may mean something to somebody else."""
    assert tiers("").factor("gold") == 1.0


def test_an_unknown_tier_is_an_error_that_lists_what_exists() -> None:
    """A mistyped one would go unnoticed as long as answers are fast."""
    with pytest.raises(InvalidRequest, match=r"x-user-tier: no tier 'gold'; this project has: premium, free"):
        tiers(TIERS).factor("gold")


def test_a_tier_may_be_looked_up_in_a_view() -> None:
    """The header then names an entity; headers have no case."""
    declared = tiers(TIERS + '[tier_source]\nheader = "X-Account"\nview = "thing"\nfield = "label"\n')

    assert (declared.header, declared.view, declared.view_field) == ("x-account", "thing", "label")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ('header = "x tier"', "tier_source header: 'x tier' is no name of a header"),
        ('view = "thing"', "tier_source view: view and field go together"),
        ('view = "nobody"\nfield = "label"', "tier_source view: no view 'nobody'; there are: thing"),
        ('view = "thing"\nfield = "count"', "tier_source field: 'count' is no string field of view 'thing'"),
        ('view = "thing"\nfield = "none"', "tier_source field: 'none' is no string field of view 'thing'"),
    ],
)
def test_a_mistake_says_what_to_change(source: str, problem: str) -> None:
    """Each is found at its place."""
    (found,) = problems(f"{TIERS}[tier_source]\n{source}\n")

    assert found.startswith(problem)


def test_a_factor_is_above_zero() -> None:
    """No time at all is no budget."""
    (found,) = problems("[tiers.none]\nbudget_factor = 0.0\n")

    assert found.startswith("tiers.none budget_factor: ")
