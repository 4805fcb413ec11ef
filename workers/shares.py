"""Which share of the work is done here, where several share it. Pure."""

from __future__ import annotations

#: Weight of what was seen before, against each new look.
_MEMORY = 0.9


class Share:
    """Our part of a count that everybody adds to, averaged over looks."""

    def __init__(self) -> None:
        self._ours = 0.0
        self._all = 0.0
        self._total: int | None = None

    def look(self, ours: int, total: int) -> float:
        """Our share.

        Args:
            ours: what we have added since the last look.
            total: what all have added since ever, us included.
        """
        before = total - ours if self._total is None else self._total
        self._total = total
        self._ours = _MEMORY * self._ours + ours
        # A count that began anew says nothing of what the others did.
        self._all = _MEMORY * self._all + max(ours, total - before)
        # As if one had been ours already: nobody divides by nothing.
        return (self._ours + 1.0) / (self._all + 1.0)
