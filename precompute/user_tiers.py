"""Who asks, as far as it matters: user tiers, which widen or narrow the time that an answer may take.

The tier of a request stands in one of its headers, put there by whoever knows the user; or the header names an entity,
an account for example, and a field of its row in a view says the tier. An id by itself never says anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from precompute.errors import InvalidRequest
from precompute.views import View

#: Where a request says its tier, unless the project names another header.
HEADER = "x-user-tier"


@dataclass(frozen=True, slots=True)
class UserTiers:
    """The tiers of a project.

    Attributes:
        factors: by tier, what a budget is multiplied by.
        header: the request header that says the tier, or whose row in `view` does; in lower case.
        view: where to look the tier up; None if the header says it.
        view_field: the field of that view's rows.
    """

    factors: Mapping[str, float] = field(default_factory=dict)
    header: str = HEADER
    view: str | None = None
    view_field: str = ""

    def factor(self, tier: str | None) -> float:
        """What the budget of a request is multiplied by; 1 for one without a tier.

        Raises:
            InvalidRequest: no such tier; its text lists what exists.
        """
        if tier is None or not self.factors:
            return 1.0
        try:
            return self.factors[tier]
        except KeyError:
            known = ", ".join(self.factors)
            raise InvalidRequest(f"{self.header}: no tier {tier!r:.80}; this project has: {known}") from None


class TierTable(BaseModel):
    """`[tiers.NAME]`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    budget_factor: Annotated[float, Field(gt=0, le=100)]


class TierSourceTable(BaseModel):
    """`[tier_source]`: a header, and the view and field to look its value up in if it is not the tier itself."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    header: str = HEADER
    view: str | None = None
    field: str | None = None


#: RFC 9110, 5.6.2.
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")


def link_tiers(
    tables: Mapping[str, TierTable],
    source: TierSourceTable,
    views: Mapping[str, View],
    broken: Set[str],
    wrong: Callable[[str, str, str], None],
) -> UserTiers:
    """The tiers beside the views; `wrong` takes table, key and message of each mistake."""
    header = source.header.lower()
    if not header or not _TOKEN.issuperset(header):
        wrong("tier_source", "header", f"{source.header!r} is no name of a header")
    if (source.view is None) != (source.field is None):
        wrong("tier_source", "view", "view and field go together: where to look the tier up, and in which field")
    elif source.view is not None and source.view not in broken:
        _check_field(source.view, str(source.field), views, wrong)
    factors = {name: table.budget_factor for name, table in tables.items()}
    return UserTiers(factors, header, source.view, source.field or "")


def _check_field(view: str, name: str, views: Mapping[str, View], wrong: Callable[[str, str, str], None]) -> None:
    if view not in views:
        wrong("tier_source", "view", f"no view {view!r}; there are: {', '.join(views)}")
        return
    found = views[view].field(name)
    if found is None or found.kind != "string":
        wrong("tier_source", "field", f"{name!r} is no string field of view {view!r}")
