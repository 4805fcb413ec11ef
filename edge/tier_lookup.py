"""Finds the user tier of a request: in what its header says, or in the row that its header names."""

from __future__ import annotations

from edge.deadlines import Deadlines
from edge.replica import Replica
from precompute.errors import InvalidKey, InvalidRequest, TransientError
from precompute.key_text import canonical_part
from precompute.keys import row_key
from precompute.layouts import Layouts
from precompute.user_tiers import UserTiers


class TierLookup:
    """By how much the budgets of users differ."""

    def __init__(self, tiers: UserTiers, replica: Replica, layouts: Layouts) -> None:
        #: Empty if the project has no tiers.
        self.header = tiers.header.encode() if tiers.factors else b""
        self._tiers = tiers
        self._replica = replica
        self._layouts = layouts
        self._deadlines = Deadlines()

    def said(self, named: str | None) -> float | None:
        """The factor of a budget, where the header itself says the tier; None if it has to be looked up.

        Raises:
            InvalidRequest: no such tier.
        """
        if self._tiers.view is not None:
            return 1.0 if named is None else None
        return self._tiers.factor(named)

    async def look_up(self, named: str, deadline: float) -> float:
        """The factor by the row that the header names; 1 if there is none, or it cannot be read in time.

        Raises:
            InvalidRequest: what the header names cannot be an entity.
        """
        view = str(self._tiers.view)
        read = self._replica.get([row_key(view, self._entity(named))])
        try:
            (row,) = await self._deadlines.within(read, deadline)
        except (TransientError, TimeoutError):
            return 1.0
        if row is None:
            return 1.0
        layout = self._layouts.current(view)
        tier = layout.decode(self._layouts.translated(view, row))[self._tiers.view_field]
        # A row is not the request's doing: a tier that is not declared counts as none.
        return self._tiers.factors.get(str(tier), 1.0)

    def _entity(self, named: str) -> str:
        try:
            return canonical_part(named)
        except InvalidKey as error:
            raise InvalidRequest(f"{self._tiers.header}: {error}") from None
