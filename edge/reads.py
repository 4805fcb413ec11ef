"""What the replica has under the keys of entries: nothing where it cannot be asked, or takes too long."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge.deadlines import Deadlines
from edge.in_time import InTime, Told
from edge.replica import Replica
from edge.stats import Stats
from precompute.errors import TransientError

Value = bytes | None
#: What a read has brought, or why nothing.
_Outcome = list[Value] | TransientError | TimeoutError


class Reads:
    """For the requests of one edge; what fails is counted."""

    def __init__(self, replica: Replica, stats: Stats) -> None:
        self._replica = replica
        self._stats = stats
        self._deadlines, self._in_time = Deadlines(), InTime()

    async def wait_for(self, names: Sequence[str], deadline: float) -> Sequence[Value]:
        """Reads together with all that is asked for in the same turn of the event loop."""
        try:
            return await self._deadlines.within(self._replica.get(names), deadline)
        except (TransientError, TimeoutError) as error:
            return self._what_came(names, error)

    def tell(self, names: Sequence[str], deadline: float, then: Callable[[Sequence[Value]], None]) -> None:
        """Reads now, for whoever has gathered already, and need not wait; deadlines come in order."""
        told: Told[_Outcome] = self._in_time.wait(deadline, lambda outcome: then(self._what_came(names, outcome)))
        try:
            self._replica.read(names, told.tell)
        except TransientError as error:
            told.tell(error)

    def _what_came(self, names: Sequence[str], outcome: _Outcome) -> Sequence[Value]:
        if isinstance(outcome, Exception):
            self._stats.replica_failures += len(names)
            return [None] * len(names)
        return outcome
