"""How many changes of each view have ended the validity of what was made from it, and how many of them in time. Pure.

In time is within the view's SLA, by the primary's clock when it changed and ours when we know.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from precompute.updates import Reply, change_id, milliseconds
from precompute.views import View


class ViewTimes:
    """Counts of one edge process, of views that have an SLA.

    Attributes:
        updates: changes read, by view.
        within_sla: those of them that came in time.
    """

    def __init__(self, views: Iterable[View]) -> None:
        self._sla_ms: Mapping[str, float] = {view.name: view.sla_s * 1000 for view in views if view.sla_s is not None}
        self.updates = dict.fromkeys(self._sla_ms, 0)
        self.within_sla = dict.fromkeys(self._sla_ms, 0)

    def read(self, view: str, records: Sequence[Reply], wall_ms: int) -> None:
        """Some records of a view's log, oldest first, are known by now."""
        sla_ms = self._sla_ms.get(view)
        if sla_ms is not None:
            late = bisect_left(records, wall_ms - sla_ms, key=lambda record: milliseconds(change_id(record[0])))
            self.updates[view] += len(records)
            self.within_sla[view] += len(records) - late

    def counts(self) -> dict[tuple[str, str], int]:
        """All of them, by view and what."""
        kinds = {"updates": self.updates, "updates_within_sla": self.within_sla}
        return {(view, what): count for what, counts in kinds.items() for view, count in counts.items()}
